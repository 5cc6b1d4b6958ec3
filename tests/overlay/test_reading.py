"""Captions as they are read: lines that fill up word by word, and never move once they are there."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from captions.doors.native.messages import Participant
from tests.overlay.screen import ALICE, Screen

BRUNO, CHLOE, DAVID, ELISE = (Participant(name.lower(), name) for name in ("Bruno", "Chloe", "David", "Elise"))

STANDING = """() => {
  const root = document.querySelector("live-captions").shadowRoot;
  const of = (selector) => [...root.querySelectorAll(selector)].map((node) => {
    const { left, top } = node.getBoundingClientRect();
    return [node.textContent, [Math.round(left), Math.round(top)]];
  });
  return { words: Object.fromEntries(of(".line span")), names: Object.fromEntries(of(".name")) };
}"""


async def standing(screen: Screen) -> dict[str, dict[str, Any]]:
    """Where each word and each name stands, for tests whose words are all different."""
    found: dict[str, dict[str, Any]] = await screen.evaluate(STANDING)
    return found


async def test_words_are_shown_under_the_speakers_name(screen: Screen) -> None:
    await screen.open()
    screen.say("It was the")
    screen.say("It was the best of times.", final=True)
    await screen.shows("It was the best of times.")
    await expect(screen.blocks.locator(".name")).to_have_text(["Alice"])


async def test_a_speaker_without_a_name_is_called_by_their_id(screen: Screen) -> None:
    await screen.open()
    screen.say("Hello", who=Participant("guest-7"))
    await expect(screen.blocks.locator(".name")).to_have_text(["guest-7"])


async def test_lines_take_40_characters_and_no_word_moves_once_it_is_shown(screen: Screen) -> None:
    await screen.open()
    words = ["The", "spring", "of", "hope", "and", "winter", "in", "despair", "were", "both", "before", "us", "all"]
    before: dict[str, Any] = {}
    for number in range(1, len(words) + 1):
        screen.say(" ".join(words[:number]))
        await expect(screen.lines.last).to_contain_text(words[number - 1])
        now = (await standing(screen))["words"]
        assert {word: now[word] for word in before} == before
        before = now
    lines = await screen.lines.all_text_contents()
    assert len(lines) == 2
    assert 34 <= len(lines[0]) <= 40


async def test_a_line_of_narrow_letters_ends_at_40_characters_all_the_same(screen: Screen) -> None:
    await screen.open()
    screen.say(" ".join(["illi"] * 12))
    await screen.shows(" ".join(["illi"] * 8), " ".join(["illi"] * 4))


async def test_a_third_line_rolls_the_first_one_up_and_out(screen: Screen) -> None:
    await screen.open("&motion=reduced")
    text = "It was the season of Light, it was the season of Darkness, it was the spring of hope"
    screen.say(text[:74])
    await expect(screen.lines).to_have_count(2)
    second = screen.lines.nth(1)
    below = await second.bounding_box()
    screen.say(text)
    await expect(screen.lines).to_have_count(3)
    above, window = await second.bounding_box(), await screen.blocks.locator(".lines").bounding_box()
    assert above is not None
    assert below is not None
    assert window is not None
    line_height = window["height"] / 2
    assert above["y"] == pytest.approx(below["y"] - line_height, abs=0.5)
    assert above["y"] == pytest.approx(window["y"], abs=0.5)


async def test_what_may_change_is_marked_and_becomes_solid_in_place(screen: Screen) -> None:
    await screen.open()
    screen.say("It was", "the best")
    await expect(screen.lines.locator(".tentative")).to_have_text(["the", "best"])
    await screen.evaluate(
        "() => { window.best = document.querySelector('live-captions').shadowRoot.querySelectorAll('.line span')[3] }"
    )
    screen.say("It was the best of")
    await screen.shows("It was the best of")
    await expect(screen.lines.locator(".tentative")).to_have_count(0)
    assert await screen.evaluate("() => window.best.isConnected && window.best.textContent === 'best'")


async def test_a_wrong_guess_is_replaced_and_what_was_said_stays(screen: Screen) -> None:
    await screen.open()
    screen.say("It was", "a guest of thyme")
    await screen.shows("It was a guest of thyme")
    before = (await standing(screen))["words"]
    screen.say("It was the best", "of times")
    await screen.shows("It was the best of times")
    after = (await standing(screen))["words"]
    assert [after[word] for word in ("It", "was")] == [before[word] for word in ("It", "was")]


async def test_a_guess_that_comes_to_nothing_is_withdrawn(screen: Screen) -> None:
    await screen.open()
    screen.say("", "Hm")
    await screen.shows("Hm")
    screen.say("", final=True)
    await expect(screen.blocks).to_have_count(0)


async def test_a_guess_over_many_lines_that_is_withdrawn_hides_nothing_that_follows(screen: Screen) -> None:
    await screen.open()
    screen.say("One", "and then a guess that goes on for so long that it takes up four whole lines of captions " * 2)
    await expect(screen.lines.last).to_contain_text("captions")
    screen.say("One two three")
    await expect(screen.lines.last).to_have_text("two three")
    window, line = await screen.blocks.locator(".lines").bounding_box(), await screen.lines.last.bounding_box()
    assert window is not None
    assert line is not None
    assert window["y"] - 1 <= line["y"] < window["y"] + window["height"]


async def test_late_words_land_in_their_own_segment(screen: Screen) -> None:
    await screen.open()
    screen.say("First came", segment="a", revision=1)
    screen.say("then the second", segment="b", revision=1)
    screen.say("First came this", segment="a", revision=2)
    await screen.shows("First came this", "then the second")


async def test_revisions_that_come_twice_or_too_late_change_nothing(screen: Screen) -> None:
    await screen.open()
    screen.say("It was the best of", revision=5)
    screen.say("It was", revision=3)
    screen.say("It was the best of", revision=5)
    screen.say("It was the best of times.", revision=6, final=True)
    screen.say("Never said", revision=7)
    screen.say("Next.", segment="b", final=True)
    await screen.shows("It was the best of times.", "Next.")


async def test_a_word_longer_than_a_line_is_broken_and_not_lost(screen: Screen) -> None:
    await screen.open()
    word = "anticonstitutionnellement" * 3
    screen.say(word)
    await expect(screen.lines.first).to_be_visible()
    lines = await screen.lines.all_text_contents()
    assert "".join(lines) == word
    assert all(len(line) <= 40 for line in lines)


async def test_several_speakers_are_read_side_by_side_and_none_moves_another(screen: Screen) -> None:
    await screen.open()
    screen.say("I speak", segment="a1")
    await expect(screen.blocks).to_have_count(1)
    alone = await standing(screen)
    screen.say("So do we", segment="b1", who=BRUNO)
    screen.say("and also them", segment="c1", who=CHLOE)
    await expect(screen.blocks).to_have_count(3)
    together = await standing(screen)
    screen.say("I speak much longer than one line has room for, you see", segment="a1")
    await expect(screen.lines).to_have_count(4)
    later = await standing(screen)
    assert {word: together["words"][word] for word in alone["words"]} == alone["words"]
    assert {word: later["words"][word] for word in together["words"]} == together["words"]
    assert later["names"] == together["names"]
    tops = [top for _, top in together["names"].values()]
    assert len(set(tops)) == 3
    colours = await screen.blocks.evaluate_all("blocks => blocks.map((b) => b.style.getPropertyValue('--speaker'))")
    assert len(set(colours)) == 3


async def test_who_comes_back_gets_the_place_they_had(screen: Screen) -> None:
    await screen.page.clock.install()
    await screen.open("&linger=auto")
    await screen.hold_time()
    screen.say("First.", segment="a1", final=True)
    screen.say("Second.", segment="b1", who=BRUNO, final=True)
    await expect(screen.blocks).to_have_count(2)
    before = (await standing(screen))["names"]
    await screen.pass_time(3_000)
    await expect(screen.blocks).to_have_count(0)
    screen.say("Second again.", segment="b2", who=BRUNO)
    await expect(screen.blocks).to_have_count(1)
    assert (await standing(screen))["names"]["Bruno"] == before["Bruno"]


async def test_a_fifth_speaker_takes_the_place_of_who_was_silent_longest(screen: Screen) -> None:
    await screen.page.clock.install()
    await screen.open()
    await screen.hold_time()
    for number, who in enumerate((ALICE, BRUNO, CHLOE, DAVID)):
        screen.say("Hello", segment=f"1{number}", who=who)
        await expect(screen.blocks).to_have_count(number + 1)
        await screen.pass_time(10)
    await screen.pass_time(2_000)
    screen.say("Hello again", segment="10", who=ALICE)
    screen.say("Me too", segment="2", who=ELISE)
    await expect(screen.blocks.locator(".name", has_text="Elise")).to_be_visible()
    names = await screen.blocks.locator(".name").all_text_contents()
    assert sorted(names) == ["Alice", "Chloe", "David", "Elise"]


async def test_who_speaks_is_not_taken_off_the_screen_by_who_begins(screen: Screen) -> None:
    await screen.page.clock.install()
    await screen.open("&speakers=1")
    await screen.hold_time()
    screen.say("I was first", segment="a")
    await screen.shows("I was first")
    await screen.evaluate(
        "() => { window.first = document.querySelector('live-captions').shadowRoot.querySelector('.block') }"
    )
    screen.say("But I", segment="b", who=BRUNO)
    screen.say("I was first and go on", segment="a")
    await screen.shows("I was first and go on")
    assert await screen.evaluate("() => window.first.isConnected")


@pytest.mark.parametrize(("text", "stays_ms"), [("Yes.", 1_500), ("twenty-one characters " * 3, 4_333)])
async def test_captions_stay_for_1_5_s_or_a_second_for_15_characters(screen: Screen, text: str, stays_ms: int) -> None:
    await screen.page.clock.install()
    await screen.open("&linger=auto")
    await screen.hold_time()
    screen.say(text.strip(), final=True)
    await expect(screen.blocks).to_have_count(1)
    await screen.pass_time(stays_ms - 100)
    assert await screen.blocks.count() == 1
    await screen.pass_time(200)
    assert await screen.blocks.count() == 0


async def test_captions_stay_while_speech_goes_on(screen: Screen) -> None:
    await screen.page.clock.install()
    await screen.open()
    screen.say("And then")
    await expect(screen.blocks).to_have_count(1)
    await screen.page.clock.run_for(8_000)
    assert await screen.blocks.count() == 1


async def test_markup_in_words_and_names_is_text(screen: Screen) -> None:
    await screen.open(path="/")
    attack = "<img/src=x/onerror=window.hit=1>"
    screen.say(attack, f"{attack}!", who=Participant("mallory", f"{attack}?"))
    await expect(screen.lines.first).to_have_text(f"{attack}")
    screen.say(attack, who=Participant("mallory", f"{attack}?"), final=True)
    await expect(screen.page.locator(".said b")).to_have_text(f"{attack}?")
    await expect(screen.page.locator(".said p")).to_have_text(attack)
    await screen.page.get_by_role("searchbox").fill("<img")
    await expect(screen.page.locator(".said mark")).to_have_text("<img")
    assert await screen.page.locator("img").count() == 1
    assert await screen.evaluate("window.hit") is None


async def test_who_finds_no_place_is_counted(screen: Screen) -> None:
    await screen.page.clock.install()
    await screen.open("&speakers=1")
    await screen.hold_time()
    screen.say("I was first", segment="a")
    screen.say("But I", segment="b", who=BRUNO)
    more = screen.page.locator("live-captions .more")
    await expect(more).to_have_text("+1 speaking")
    screen.say("And I too", segment="c", who=CHLOE)
    await expect(more).to_have_text("+2 speaking")
    await screen.shows("I was first")
    await screen.pass_time(2_000)
    await expect(more).to_have_text("")


async def test_a_speaker_who_writes_from_right_to_left_keeps_the_full_stop_at_the_end(screen: Screen) -> None:
    await screen.open(path="/")
    screen.say("مرحبا بكم جميعا.", final=True, who=Participant("salma", "سلمى"))
    await screen.shows("مرحبا بكم جميعا.")
    await expect(screen.page.locator(".said p")).to_have_count(1)
    edges = """() => {
      const edge = (node, from, to) => {
        const range = new Range();
        range.setStart(node, from);
        range.setEnd(node, to);
        return range.getBoundingClientRect().left;
      };
      const line = document.querySelector("live-captions").shadowRoot.querySelector(".line");
      const spans = [...line.querySelectorAll("span")];
      const [first, last] = [spans[0].firstChild, spans.at(-1).firstChild];
      const said = document.querySelector(".said p").firstChild;
      const end = last.length;
      return [
        edge(first, 0, 1), edge(last, 0, 1), edge(last, end - 1, end),
        edge(said, 0, 1), edge(said, 10, 11), edge(said, said.length - 1, said.length),
      ];
    }"""
    first, last, stop, said_first, said_last, said_stop = await screen.evaluate(edges)
    assert first > last > stop
    assert said_first > said_last > said_stop


async def test_no_word_of_ours_stands_on_a_name_or_a_caption(screen: Screen) -> None:
    """A lost connection is told at the other edge than where the captions stand."""
    await screen.open("&position=top")
    screen.say("I stand at the top", segment="a")
    await screen.shows("I stand at the top")
    await screen.evaluate("() => dispatchEvent(new Event('offline'))")
    await expect(screen.notice).to_have_text("Connection lost. Reconnecting…")
    notice, block = await screen.notice.bounding_box(), await screen.blocks.bounding_box()
    assert notice is not None
    assert block is not None
    assert notice["y"] > block["y"] + block["height"]


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
async def test_four_speakers_with_long_names_leave_the_people_to_be_seen(screen: Screen, size: tuple[int, int]) -> None:
    await screen.page.set_viewport_size({"width": size[0], "height": size[1]})
    await screen.open("&size=30", path="/")
    names = ["Marie-Antoinette de la Rochefoucauld-Montmorency"] * 4
    for number, name in enumerate(names):
        screen.say("It was the best of times and", segment=f"{number}", who=Participant(f"p{number}", name))
    await expect(screen.page.locator("#people li")).to_have_count(4)
    await expect(screen.blocks.first).to_be_visible()
    overlapping = """() => {
      const box = (node) => node.getBoundingClientRect();
      const people = [...document.querySelectorAll("#people li")].map(box);
      const blocks = [...document.querySelector("live-captions").shadowRoot.querySelectorAll(".block")].map(box);
      const meeting = box(document.querySelector(".meeting"));
      const over = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
      const outside = (p) => p.right > meeting.right || p.left < meeting.left;
      return people.filter((p) => outside(p) || blocks.some((b) => over(p, b))).length;
    }"""
    assert await screen.evaluate(overlapping) == 0
