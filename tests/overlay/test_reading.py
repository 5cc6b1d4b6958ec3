"""Captions as they are read: lines that fill up word by word, and never move once they are there."""

from __future__ import annotations

from playwright.async_api import expect

from captions.stream.protocol.native import Participant
from tests.overlay.screen import Screen

BRUNO = Participant("bruno", "Bruno")

WHERE_WORDS_STAND = """() => {
  const spans = document.querySelector("live-captions").shadowRoot.querySelectorAll(".line span");
  return Object.fromEntries([...spans].map((span) => [span.textContent, span.getBoundingClientRect().toJSON()]));
}"""


async def test_words_are_shown_under_the_speakers_name(screen: Screen) -> None:
    await screen.open()
    screen.say("It was the")
    screen.say("It was the best of times.", final=True)
    await screen.shows("It was the best of times.")
    await expect(screen.blocks.locator(".name")).to_have_text(["Alice"])


async def test_a_line_takes_40_characters_and_words_stay_where_they_were(screen: Screen) -> None:
    await screen.open()
    words = "The spring of hope and the winter of despair were both before us all".split()
    seen: dict[str, dict[str, float]] = {}
    for number in range(1, len(words) + 1):
        screen.say(" ".join(words[:number]))
        await expect(screen.lines.last).to_contain_text(words[number - 1])
        now = await screen.evaluate(WHERE_WORDS_STAND)
        assert {word: (box["left"], box["top"]) for word, box in seen.items()} == {
            word: (now[word]["left"], now[word]["top"]) for word in seen
        }
        seen = now
    lines = await screen.lines.all_text_contents()
    assert lines == ["The spring of hope and the winter of", "despair were both before us all"]
    assert all(len(line) <= 40 for line in lines)
