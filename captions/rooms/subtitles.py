"""Captions to files people use: plain text, SRT, WebVTT (https://www.w3.org/TR/webvtt1/) and JSON."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import msgspec

from captions.stream.captions import Caption, CaptionWord, Latency, Segment, Uncaptioned

__all__ = ["Format", "render", "written_out"]

Format: TypeAlias = Literal["text", "json", "srt", "vtt"]

_SHORTEST_CUE_S = 1.0
_NOT_CAPTIONED = {"en": "[not captioned: {} s]", "fr": "[non sous-titré : {} s]"}


def render(segments: Sequence[Segment], form: Format) -> str:
    """The segments, which are final and in order, as one file of that form."""
    return _RENDERERS[form](segments)


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


def _text(segments: Sequence[Segment]) -> str:
    return "".join(f"{segment.text}\n" for segment in segments)


def _json(segments: Sequence[Segment]) -> str:
    return msgspec.json.format(msgspec.json.encode(segments), indent=2).decode() + "\n"


def _srt(segments: Sequence[Segment]) -> str:
    cues = (
        f"{number}\n{_clock(segment.start, ',')} --> {_clock(_cue_end(segments, number), ',')}\n{segment.text}\n"
        for number, segment in enumerate(segments, 1)
    )
    return "\n".join(cues)


def _vtt(segments: Sequence[Segment]) -> str:
    cues = (
        f"{_clock(segment.start, '.')} --> {_clock(_cue_end(segments, number), '.')}\n{_voiced(segment)}\n"
        for number, segment in enumerate(segments, 1)
    )
    return "\n".join(("WEBVTT\n", *cues))


def _voiced(segment: Segment) -> str:
    name = segment.participant.name
    text = html.escape(segment.text, quote=False)
    return f"<v {html.escape(name, quote=False)}>{text}" if name else text


def _cue_end(segments: Sequence[Segment], number: int) -> float:
    """When a cue goes: not too soon to be read, but not before its words end nor after the next one begins."""
    segment = segments[number - 1]
    end = max(segment.end, segment.start + _SHORTEST_CUE_S)
    if number < len(segments) and segments[number].start > segment.start:
        end = max(segment.end, min(end, segments[number].start))
    return end


def _clock(time_s: float, point: str) -> str:
    milliseconds = round(time_s * 1_000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{milliseconds // 1_000:02d}{point}{milliseconds % 1_000:03d}"


_RENDERERS: dict[Format, Callable[[Sequence[Segment]], str]] = {
    "text": _text,
    "json": _json,
    "srt": _srt,
    "vtt": _vtt,
}
