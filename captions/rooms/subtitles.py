"""Captions to files people use: plain text, SRT, WebVTT (https://www.w3.org/TR/webvtt1/) and JSON."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from captions.stream.captions import Caption, CaptionWord, Latency, Segment, Uncaptioned

__all__ = ["Format", "SubtitleFile", "render", "written_out"]

Format: TypeAlias = Literal["text", "json", "srt", "vtt"]

_SHORTEST_CUE_S = 1.0
_NOT_CAPTIONED = {"en": "[not captioned: {} s]", "fr": "[non sous-titré : {} s]"}


def render(segments: Sequence[Segment], form: Format) -> str:
    """The segments, which are final and in order, as one file of that form."""
    file = SubtitleFile(form)
    return "".join(file.add(segment) for segment in segments) + file.end()


class SubtitleFile:
    """A file that is written as its segments come, which are final and in order: `add` each, and `end` it.

    Both return what is to be written next. A cue waits for the next one, which says how long it may stay.
    """

    def __init__(self, form: Format) -> None:
        self._form = form
        self._waiting: Segment | None = None
        self._written = 0

    def add(self, segment: Segment) -> str:
        waiting, self._waiting = self._waiting, segment
        if self._form in ("text", "json"):
            return self._entry(segment, None)
        return "" if waiting is None else self._entry(waiting, segment)

    def end(self) -> str:
        last, self._waiting = self._waiting, None
        rest = "" if last is None or self._form in ("text", "json") else self._entry(last, None)
        if self._written == 0:
            return {"json": "[]\n", "vtt": "WEBVTT\n"}.get(self._form, "")
        return rest + ("\n]\n" if self._form == "json" else "")

    def _entry(self, segment: Segment, following: Segment | None) -> str:
        self._written += 1
        number = self._written
        end = _cue_end(segment, following)
        match self._form:
            case "text":
                return f"{segment.text}\n"
            case "json":
                text = msgspec.json.format(msgspec.json.encode(segment), indent=2).decode()
                return ("[\n" if number == 1 else ",\n") + textwrap.indent(text, "  ")
            case "srt":
                between = "" if number == 1 else "\n"
                return f"{between}{number}\n{_clock(segment.start, ',')} --> {_clock(end, ',')}\n{segment.text}\n"
            case "vtt":
                head = "WEBVTT\n\n" if number == 1 else "\n"
                return f"{head}{_clock(segment.start, '.')} --> {_clock(end, '.')}\n{_voiced(segment)}\n"


def written_out(captions: Sequence[Caption], lang: str = "en") -> list[Segment]:
    """What is missing becomes a segment that says so, with its length, in a language: "en" or "fr"."""
    return [caption if isinstance(caption, Segment) else _as_segment(caption, lang) for caption in captions]


def _as_segment(missing: Uncaptioned, lang: str) -> Segment:
    start, end = missing.start, missing.end
    text = _NOT_CAPTIONED.get(lang, _NOT_CAPTIONED["en"]).format(max(1, round(end - start)))
    return Segment(
        room=missing.room,
        track=missing.track,
        participant=missing.participant,
        id=missing.id,
        revision=0,
        final=True,
        start=start,
        end=end,
        text=text,
        words=[CaptionWord(text, start, end)],
        latency=Latency(),
        said_at=missing.said_at,
    )


def _voiced(segment: Segment) -> str:
    name = segment.participant.name
    text = html.escape(segment.text, quote=False)
    return f"<v {html.escape(name, quote=False)}>{text}" if name else text


def _cue_end(segment: Segment, following: Segment | None) -> float:
    """When a cue goes: not too soon to be read, but not before its words end nor after the next one begins."""
    end = max(segment.end, segment.start + _SHORTEST_CUE_S)
    if following is not None and following.start > segment.start:
        end = max(segment.end, min(end, following.start))
    return end


def _clock(time_s: float, point: str) -> str:
    milliseconds = round(time_s * 1_000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{milliseconds // 1_000:02d}{point}{milliseconds % 1_000:03d}"
