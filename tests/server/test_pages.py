"""What plain HTTP answers: the pages, their files and their guards, and transcripts as files."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import msgspec
import pytest

from captions.doors.native.messages import CaptionWord, Latency, Participant, Segment, Uncaptioned
from captions.rooms.transcripts import Transcript
from captions.server.pages import Page, Pages, text, transcript
from captions.stream.captions import Caption

PAGES = Pages()


def page_at(path: str) -> Page:
    page = PAGES.answer(path)
    assert page is not None, path
    return page


def headers(page: Page) -> dict[str, str]:
    return dict(page.headers)


def said(text: str, who: Participant, start: float, segment_id: str = "a") -> Segment:
    words = [CaptionWord(word, start, start + 0.5) for word in text.split()]
    return Segment(
        "r", who.id, who, segment_id, 3, True, start, start + 2.0, text, words, Latency(), said_at=100.0 + start
    )


ALICE, NAMELESS = Participant("a", "Alice & <Bob>"), Participant("guest-7")
SAID = [said("It was <late>.", ALICE, 0.0), said("Indeed.", NAMELESS, 3.0, "b")]
MISSING = Uncaptioned("r", "a", ALICE, "c", 9.0, 12.0, "overload", 109.0)


@pytest.mark.parametrize(
    "path", ["/nothing", "/overlay/", "/overlay/nothing.js", "/overlay/../pages.py", "/overlay.html"]
)
def test_there_is_nothing_at_other_paths(path: str) -> None:
    assert PAGES.answer(path) is None


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/overlay", "text/html; charset=utf-8"),
        ("/overlay/live-captions.js", "text/javascript; charset=utf-8"),
        ("/overlay/page.css", "text/css; charset=utf-8"),
        ("/overlay/icon.svg", "image/svg+xml"),
        ("/overlay/two_cities.wav", "audio/wav"),
    ],
)
def test_files_come_with_their_type_and_nobody_may_guess_another(path: str, content_type: str) -> None:
    page = page_at(path)
    assert page.status == 200
    assert page.body
    assert headers(page)["Content-Type"] == content_type
    assert headers(page)["X-Content-Type-Options"] == "nosniff"
    assert headers(page)["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("path", "framed_by", "styles"), [("/", "'none'", "'self'"), ("/overlay", "*", "'self' 'unsafe-inline'")]
)
def test_documents_may_load_from_us_alone(path: str, framed_by: str, styles: str) -> None:
    policy = dict(part.split(" ", 1) for part in headers(page_at(path))["Content-Security-Policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": styles,
        "img-src": "'self'",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
        "frame-ancestors": framed_by,
    }


def test_only_the_page_that_records_may_use_the_microphone() -> None:
    assert "microphone=(self)" in headers(page_at("/"))["Permissions-Policy"]
    assert "microphone=()" in headers(page_at("/overlay"))["Permissions-Policy"]


def test_what_the_browser_has_already_is_not_sent_again() -> None:
    tag = headers(page_at("/overlay/live-captions.js"))["ETag"]
    known = PAGES.answer("/overlay/live-captions.js", tag)
    assert known is not None
    assert (known.status, known.body) == (304, b"")
    changed = PAGES.answer("/overlay/live-captions.js", '"other"')
    assert changed is not None
    assert changed.status == 200


def test_modules_may_be_used_by_pages_of_other_origins() -> None:
    assert headers(page_at("/overlay/live-captions.js"))["Access-Control-Allow-Origin"] == "*"


def test_every_file_that_a_document_or_module_names_is_there() -> None:
    named = re.compile(rb"""(?:from |import\(|import |href=|src=|new URL\()["']([^"':]+\.(?:js|css|svg|wav))["']""")
    for path in ("/", "/overlay", *(f"/overlay/{name}" for name in _modules())):
        for name in named.findall(page_at(path).body):
            file = name.decode().removeprefix("./").removeprefix("overlay/")
            assert PAGES.answer(f"/overlay/{file}") is not None, f"{path} names {name!r}"


def test_documents_have_no_script_or_style_within() -> None:
    for path in ("/", "/overlay"):
        assert not re.search(rb"<script(?![^>]* src=)|<style| style=| on\w+=", page_at(path).body), path


@pytest.mark.parametrize("form", ["", "exe", "vtt.txt", "VTT", "text"])
def test_there_are_no_other_forms_of_a_transcript(form: str) -> None:
    assert transcript(Transcript(0), form) is None


def test_a_plain_answer_says_what_it_is() -> None:
    page = text(503, "draining")
    assert (page.status, page.body, headers(page)) == (503, b"draining", {"Content-Type": "text/plain; charset=utf-8"})


def transcribed(captions: Sequence[Caption], form: str, limit: int = 10, lang: str = "en") -> Page:
    kept = Transcript(limit)
    for caption in captions:
        kept.add(caption, msgspec.json.encode(caption).decode())
    page = transcript(kept, form, lang)
    assert page is not None
    return page


def test_a_transcript_as_webvtt() -> None:
    assert transcribed(SAID, "vtt").body.decode() == (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:00:02.000\n<v Alice &amp; &lt;Bob&gt;>It was &lt;late&gt;.\n\n"
        "00:00:03.000 --> 00:00:05.000\nIndeed.\n"
    )


def test_a_transcript_as_srt_and_text_names_who_speaks() -> None:
    assert transcribed(SAID, "srt").body.decode() == (
        "1\n00:00:00,000 --> 00:00:02,000\nAlice & <Bob>: It was <late>.\n\n"
        "2\n00:00:03,000 --> 00:00:05,000\nguest-7: Indeed.\n"
    )
    assert transcribed(SAID, "txt").body.decode() == "Alice & <Bob>: It was <late>.\nguest-7: Indeed.\n"


def test_a_transcript_as_json_is_its_segments() -> None:
    read = json.loads(transcribed(SAID, "json").body)
    assert [(segment["participant"]["id"], segment["text"]) for segment in read] == [
        ("a", "It was <late>."),
        ("guest-7", "Indeed."),
    ]


@pytest.mark.parametrize(("lang", "text"), [("en", "[not captioned: 3 s]"), ("fr", "[non sous-titré : 3 s]")])
def test_a_transcript_says_what_is_missing_in_it(lang: str, text: str) -> None:
    said: list[Caption] = [*SAID, MISSING]
    assert transcribed(said, "txt", lang=lang).body.decode().splitlines()[-1] == f"Alice & <Bob>: {text}"
    vtt = transcribed(said, "vtt", lang=lang).body.decode()
    assert vtt.endswith(f"\n00:00:09.000 --> 00:00:12.000\n<v Alice &amp; &lt;Bob&gt;>{text}\n")
    assert [caption["type"] for caption in json.loads(transcribed(said, "json").body)][-1] == "uncaptioned"


def test_a_transcript_says_how_much_before_it_was_not_kept() -> None:
    page = transcribed(SAID, "txt", limit=1)
    assert (page.body, headers(page)["Captions-Forgotten"]) == (b"guest-7: Indeed.\n", "1")


@pytest.mark.parametrize("form", ["vtt", "srt", "txt", "json"])
def test_a_transcript_is_a_download_that_no_cache_keeps(form: str) -> None:
    page = transcribed([], form)
    assert headers(page)["Cache-Control"] == "no-store"
    assert headers(page)["Content-Disposition"] == f'attachment; filename="transcript.{form}"'
    assert headers(page)["X-Content-Type-Options"] == "nosniff"


def _modules() -> list[str]:
    """Every module, found from the documents' own through what each imports."""
    found, new = [], ["page.js", "overlay.js"]
    while new:
        name = new.pop()
        found.append(name)
        imports = re.findall(rb"""(?:from|import)[ (]+["']\./([\w-]+\.js)["']""", page_at(f"/overlay/{name}").body)
        new += {module.decode() for module in imports} - {*found, *new}
    return found
