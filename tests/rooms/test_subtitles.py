"""Final segments to files people use."""

from __future__ import annotations

import json

import pytest

from captions.doors.native.messages import CaptionWord, Latency, Participant, Segment
from captions.rooms.subtitles import Format, SubtitleFile, render


def segment(text: str, start: float, end: float, name: str = "") -> Segment:
    return Segment(
        room="r",
        track="t",
        participant=Participant("p", name),
        id="s1",
        revision=3,
        final=True,
        start=start,
        end=end,
        text=text,
        words=[CaptionWord(text, start, end)],
        latency=Latency(),
    )


TWO = [segment("It was the best of times,", 1.216, 3.5), segment("it was the worst.", 3_661.5, 3_664.0007)]


def test_plain_text_is_a_line_a_segment() -> None:
    assert render(TWO, "text") == "It was the best of times,\nit was the worst.\n"


def test_srt() -> None:
    assert render(TWO, "srt") == (
        "1\n"
        "00:00:01,216 --> 00:00:03,500\n"
        "It was the best of times,\n"
        "\n"
        "2\n"
        "01:01:01,500 --> 01:01:04,001\n"
        "it was the worst.\n"
    )


def test_webvtt() -> None:
    assert render(TWO, "vtt") == (
        "WEBVTT\n"
        "\n"
        "00:00:01.216 --> 00:00:03.500\n"
        "It was the best of times,\n"
        "\n"
        "01:01:01.500 --> 01:01:04.001\n"
        "it was the worst.\n"
    )


def test_webvtt_names_the_speaker_and_escapes_what_would_be_markup() -> None:
    assert render([segment("a < b && c --> d", 0, 2, name="R&D <Paris>")], "vtt") == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\n<v R&amp;D &lt;Paris&gt;>a &lt; b &amp;&amp; c --&gt; d\n"
    )


def test_json_has_every_field_of_a_segment() -> None:
    assert json.loads(render(TWO[:1], "json")) == [
        {
            "type": "segment",
            "room": "r",
            "track": "t",
            "participant": {"id": "p"},
            "id": "s1",
            "revision": 3,
            "final": True,
            "start": 1.216,
            "end": 3.5,
            "text": "It was the best of times,",
            "words": [{"text": "It was the best of times,", "start": 1.216, "end": 3.5}],
            "latency": {},
        }
    ]


@pytest.mark.parametrize(
    ("time_s", "clock"),
    [
        (0.0, "00:00:00.000"),
        (0.0004, "00:00:00.000"),
        (59.9996, "00:01:00.000"),
        (3_599.9999, "01:00:00.000"),
        (360_000.5, "100:00:00.500"),
    ],
)
def test_clocks_round_to_the_millisecond_and_carry(time_s: float, clock: str) -> None:
    assert render([segment("x", time_s, time_s + 10)], "vtt").splitlines()[2].split(" --> ")[0] == clock


def cue_times(*segments: Segment) -> list[str]:
    return [line for line in render(segments, "vtt").splitlines() if " --> " in line]


def test_a_short_cue_stays_a_second() -> None:
    assert cue_times(segment("Yes.", 1.0, 1.2)) == ["00:00:01.000 --> 00:00:02.000"]


def test_but_not_into_the_next_one() -> None:
    assert cue_times(segment("Yes.", 1.0, 1.2), segment("No.", 1.5, 3.0)) == [
        "00:00:01.000 --> 00:00:01.500",
        "00:00:01.500 --> 00:00:03.000",
    ]


def test_a_cue_lasts_as_long_as_its_words_even_if_another_speaks() -> None:
    assert cue_times(segment("Well, I think", 1.0, 4.0), segment("No.", 1.5, 3.0))[0] == "00:00:01.000 --> 00:00:04.000"


@pytest.mark.parametrize(
    ("form", "empty"), [("text", ""), ("json", "[]\n"), ("srt", ""), ("vtt", "WEBVTT\n")], ids=lambda v: str(v)[:6]
)
def test_nothing_said_is_an_empty_file_of_its_form(form: str, empty: str) -> None:
    assert render([], form) == empty  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["text", "json", "srt", "vtt"])
def test_a_file_that_is_written_as_segments_come_is_the_same_and_whole_when_it_ends_early(form: Format) -> None:
    three = [segment("Yes.", 1.0, 1.2), segment("No.", 1.5, 3.0), segment("Perhaps.", 4.0, 5.0)]
    for length in range(4):
        file = SubtitleFile(form)
        assert "".join(file.add(said) for said in three[:length]) + file.end() == render(three[:length], form)
    as_they_come = SubtitleFile(form)
    assert ["Yes." in as_they_come.add(three[0]) + as_they_come.add(three[1])] == [True]
