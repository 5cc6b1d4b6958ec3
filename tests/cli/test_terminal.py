"""Captions in a terminal."""

from __future__ import annotations

from io import StringIO

from rich.console import Console
from rich.text import Text

from captions.cli.terminal import CaptionView, final_line, growing_line
from captions.doors.native.messages import CaptionWord, Latency, Participant, Segment


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
        final_line(segment("It was.", final=True, word_latency=431.6, ttfs=298.2)).plain
        == "It was.  word 432 ms · final after speech 298 ms"
    )
    assert final_line(segment("It was.", final=True)).plain == "It was."


def test_who_speaks_comes_first() -> None:
    assert growing_line(segment("It was", name="Zoé")).plain == "Zoé: It was"
    assert final_line(segment("It was", name="Zoé", final=True)).plain == "Zoé: It was"


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
