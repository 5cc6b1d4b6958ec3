"""The browser side over plain HTTP: the two pages, their files, and rooms' transcripts. Pure: a path in, a page out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import msgspec

from captions.rooms import subtitles
from captions.rooms.transcripts import Transcript
from captions.stream.captions import Segment
from captions.stream.figures import FIGURES, PARTS

__all__ = ["Page", "Pages", "text", "transcript"]

_FOLDER = Path(__file__).parents[1] / "overlay"
_SAMPLE = "two_cities.wav"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".wav": "audio/wav",
}
_TRANSCRIPTS: dict[str, tuple[subtitles.Format, str]] = {
    "vtt": ("vtt", "text/vtt; charset=utf-8"),
    "srt": ("srt", "application/x-subrip; charset=utf-8"),
    "txt": ("text", "text/plain; charset=utf-8"),
    "json": ("json", "application/json"),
}
"""By the file's ending, what it is made of and its type."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'; frame-ancestors "
)
_CUSTOM_STYLES = "'self' 'unsafe-inline'"
"""OBS puts the custom CSS of a browser source into the page as a style element."""
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
        self._pages["/overlay/figures.js"] = _static(_figures().encode(), _TYPES[".js"])
        self._pages["/"] = _document(_FOLDER / "index.html", "'none'", "microphone=(self), camera=(), geolocation=()")
        self._pages["/overlay"] = _document(
            _FOLDER / "overlay.html", "*", "microphone=(), camera=(), geolocation=()", _CUSTOM_STYLES
        )
        self._pages[f"/overlay/{_SAMPLE}"] = _file(_assets() / _SAMPLE)

    def answer(self, path: str, known_tag: str = "") -> Page | None:
        """The page at `path`, or None. `known_tag` is the request's If-None-Match."""
        page = self._pages.get(path)
        if page is None:
            return None
        if known_tag and ("ETag", known_tag) in page.headers:
            return Page(304, page.headers, b"")
        return page


def text(status: int, body: str, content_type: str = "text/plain") -> Page:
    """A plain answer, as machines and people at a terminal want it."""
    return Page(status, (("Content-Type", f"{content_type}; charset=utf-8"),), body.encode())


def transcript(of: Transcript, form: str, lang: str = "en", *, words: bool = True) -> Page | None:
    """What was said in a room as a file; None for a form there is none of. `lang`: of our own words in it.

    SRT and text have no field for the speaker. JSON may do without the times of each word.
    """
    if form not in _TRANSCRIPTS:
        return None
    kind, content_type = _TRANSCRIPTS[form]
    captions = of.captions(words=words and kind == "json")
    if kind == "json":
        body = msgspec.json.encode(captions)
    else:
        segments = subtitles.written_out(captions, lang)
        named = [_named(segment) for segment in segments] if kind in ("srt", "text") else segments
        body = subtitles.render(named, kind).encode()
    headers = (
        *_ALWAYS,
        ("Content-Type", content_type),
        ("Content-Disposition", f'attachment; filename="transcript.{form}"'),
        ("Cache-Control", "no-store"),
        ("Captions-Forgotten", str(of.forgotten)),
    )
    return Page(200, headers, body)


def _named(segment: Segment) -> Segment:
    name = segment.participant.name or segment.participant.id
    return msgspec.structs.replace(segment, text=f"{name}: {segment.text}")


def _assets() -> Path:
    """The files inside the package moonshine-voice, which need not be imported for that: a gateway has no model."""
    spec = find_spec("moonshine_voice")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "assets"


def _document(file: Path, framed_by: str, permissions: str, styles: str = "'self'") -> Page:
    page = _file(file)
    policy = _POLICY.replace("style-src 'self'", f"style-src {styles}") + framed_by
    guards = (("Content-Security-Policy", policy), ("Permissions-Policy", permissions))
    return Page(page.status, (*page.headers, *guards), page.body)


def _figures() -> str:
    """The table of latency figures as the page's module figures.js."""
    titles = {figure.name: [figure.title, figure.french] for figure in FIGURES if figure.part}
    return f"export const PARTS = {json.dumps(PARTS)};\nexport const TITLES = {json.dumps(titles)};\n"


def _file(file: Path) -> Page:
    return _static(file.read_bytes(), _TYPES[file.suffix])


def _static(body: bytes, content_type: str) -> Page:
    """Asked for again at each visit, but sent only if changed: modules of two versions never meet."""
    headers = (
        *_ALWAYS,
        ("Content-Type", content_type),
        ("Cache-Control", "no-cache"),
        ("ETag", f'"{hashlib.sha256(body).hexdigest()[:16]}"'),
        ("Access-Control-Allow-Origin", "*"),
        ("Cross-Origin-Resource-Policy", "cross-origin"),
    )
    return Page(200, headers, body)
