"""Captions in a terminal."""

from __future__ import annotations

from io import StringIO

from rich.console import Console
from rich.text import Text

from captions.cli.terminal import CaptionView, final_line, growing_line
from captions.doors.native.messages import CaptionWord, Latency, Participant, Segment

WIDE = Console(width=200)


def segment(text: str, tentative: str = "", *, final: bool = False, name: str = "", **latency: float) -> Segment:
    words = [CaptionWord(word, 0.0, 0.1) for word in text.split()]
    return Segment(
        "r", "t", Participant("p", name), "a", 0, final, 0.0, 0.1, text, words, Latency(**latency), tentative
    )


def styled(line: Text) -> list[tuple[str, str]]:
    """The line in pieces, each with its style."""
    pieces = [(line.plain[span.start : span.end], str(span.style)) for span in line.spans]
    return [("", str(line.style))] * bool(line.style) + pieces


def test_committed_text_is_plain_and_tentative_text_dim() -> None:
    line = growing_line(segment("It was", "the best"))
    assert line.plain == "It was the best"
    assert styled(line) == [("the best", "dim italic")]


def test_a_line_of_tentative_text_only() -> None:
    assert growing_line(segment("", "it was")).plain == "it was"


def test_a_final_line_has_its_latency() -> None:
    assert (
        final_line(segment("It was.", final=True, word_latency=431.6, ttfs=298.2), WIDE).plain
        == "It was.  word 432 ms · final after speech 298 ms"
    )
    assert final_line(segment("It was.", final=True), WIDE).plain == "It was."


def test_a_latency_is_never_torn_over_two_lines() -> None:
    note = "  word 432 ms · final after speech 298 ms"
    for words in range(1, 30):
        text = " ".join(["times"] * words)
        out = StringIO()
        console = Console(file=out, width=60)
        console.print(final_line(segment(text, final=True, word_latency=431.6, ttfs=298.2), console))
        lines = out.getvalue().splitlines()
        assert lines[-1].rstrip().endswith(note), lines
        assert " ".join(" ".join(lines).split()) == f"{text} {note.strip()}"


def test_who_speaks_comes_first() -> None:
    assert growing_line(segment("It was", name="Zoé")).plain == "Zoé: It was"
    assert final_line(segment("It was", name="Zoé", final=True), WIDE).plain == "Zoé: It was"


def test_words_that_look_like_markup_are_words() -> None:
    assert growing_line(segment("[bold]a[/bold]")).plain == "[bold]a[/bold]"


def test_final_lines_stay_and_growing_ones_go() -> None:
    out = StringIO()
    with CaptionView(Console(file=out, width=80, force_terminal=True, color_system=None)) as view:
        view.show(segment("It", "was"))
        view.show(segment("It was", "the"))
        view.show(segment("It was.", final=True))
        view.show(segment("", "perhaps"))
        view.show(segment("", final=True))
    last = out.getvalue().split("\x1b[2K")[-1]
    assert out.getvalue().count("It was.") == 1
    assert "perhaps" not in last


def test_where_there_is_no_terminal_only_final_lines_are_written() -> None:
    out = StringIO()
    with CaptionView(Console(file=out, width=80)) as view:
        view.show(segment("It", "was"))
        view.show(segment("It was.", final=True, name="Zoé"))
    assert out.getvalue().strip() == "Zoé: It was."
