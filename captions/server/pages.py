"""The browser side over plain HTTP: the two pages, their files, and rooms' transcripts. Pure: a path in, a page out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import moonshine_voice
import msgspec

from captions.rooms import subtitles
from captions.stream.captions import Segment

__all__ = ["Page", "Pages", "TranscriptForm", "transcript", "transcript_form"]

TranscriptForm: TypeAlias = Literal["vtt", "srt", "txt", "json"]

_FOLDER = Path(__file__).parents[1] / "overlay"
_SAMPLE = "two_cities.wav"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".wav": "audio/wav",
}
_TRANSCRIPT_TYPES: dict[TranscriptForm, str] = {
    "vtt": "text/vtt; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "json": "application/json",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'; frame-ancestors "
)
_ALWAYS = (("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"))


@dataclass(frozen=True, slots=True)
class Page:
    """One HTTP answer; `headers` has all but its length."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Pages:
    """The static files, read once. `/` may not be framed, `/overlay` is made for it; any page may use modules."""

    def __init__(self) -> None:
        self._pages = {f"/overlay/{file.name}": _file(file) for file in _FOLDER.iterdir() if file.suffix in _TYPES}
        self._pages["/"] = _document(_FOLDER / "index.html", "'none'", "microphone=(self), camera=(), geolocation=()")
        self._pages["/overlay"] = _document(_FOLDER / "overlay.html", "*", "microphone=(), camera=(), geolocation=()")
        self._pages[f"/overlay/{_SAMPLE}"] = _file(Path(moonshine_voice.get_assets_path()) / _SAMPLE)

    def answer(self, path: str, known_tag: str = "") -> Page | None:
        """The page at `path`, or None. `known_tag` is the request's If-None-Match."""
        page = self._pages.get(path)
        if page is None:
            return None
        if known_tag and ("ETag", known_tag) in page.headers:
            return Page(304, page.headers, b"")
        return page


def transcript_form(name: str) -> TranscriptForm | None:
    """The form that `transcript.<form>`, the last part of a path, asks for."""
    stem, _, ending = name.partition(".")
    return next((form for form in get_args(TranscriptForm) if stem == "transcript" and ending == form), None)


def transcript(segments: Sequence[Segment], form: TranscriptForm) -> Page:
    """A room's final segments, on one clock and in order, as a file. SRT and text have no field for the speaker."""
    text = subtitles.render(
        [_named(segment) for segment in segments] if form in ("srt", "txt") else segments,
        "text" if form == "txt" else form,
    )
    headers = (
        *_ALWAYS,
        ("Content-Type", _TRANSCRIPT_TYPES[form]),
        ("Content-Disposition", f'attachment; filename="transcript.{form}"'),
        ("Cache-Control", "no-store"),
    )
    return Page(200, headers, text.encode())


def _named(segment: Segment) -> Segment:
    name = segment.participant.name or segment.participant.id
    return msgspec.structs.replace(segment, text=f"{name}: {segment.text}")


def _document(file: Path, framed_by: str, permissions: str) -> Page:
    page = _file(file)
    guards = (("Content-Security-Policy", _POLICY + framed_by), ("Permissions-Policy", permissions))
    return Page(page.status, (*page.headers, *guards), page.body)


def _file(file: Path) -> Page:
    """Asked for again at each visit, but sent only if changed: modules of two versions never meet."""
    body = file.read_bytes()
    headers = (
        *_ALWAYS,
        ("Content-Type", _TYPES[file.suffix]),
        ("Cache-Control", "no-cache"),
        ("ETag", f'"{hashlib.sha256(body).hexdigest()[:16]}"'),
        ("Access-Control-Allow-Origin", "*"),
        ("Cross-Origin-Resource-Policy", "cross-origin"),
    )
    return Page(200, headers, body)
