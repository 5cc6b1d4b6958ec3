"""Captions in a terminal: final lines scroll by with their latency, the lines under way grow below them."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from captions.doors.native.messages import Segment

__all__ = ["CaptionView", "final_line", "growing_line"]


def growing_line(segment: Segment) -> Text:
    """Committed text plain, tentative text dim."""
    line = _speaker(segment).append(segment.text)
    if segment.tentative:
        line.append(" " if segment.text else "").append(segment.tentative, style="dim italic")
    return line


def final_line(segment: Segment) -> Text:
    """A closed segment with its latency: of its last word, and from the end of speech where it ended a spurt."""
    line = _speaker(segment).append(segment.text)
    latency = segment.latency
    figures = [
        f"{name} {figure:.0f} ms"
        for name, figure in (("word", latency.word_latency), ("final after speech", latency.ttfs))
        if figure is not None
    ]
    return line.append(f"  {' · '.join(figures)}", style="green") if figures else line


def _speaker(segment: Segment) -> Text:
    name = segment.participant.name
    return Text().append(f"{name}: ", style="bold cyan") if name else Text()


class CaptionView:
    """A context manager; call `show` with every segment revision."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._growing: dict[str, Segment] = {}
        self._live = Live(console=console, refresh_per_second=12, transient=True)

    def __enter__(self) -> CaptionView:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, segment: Segment) -> None:
        self._growing.pop(segment.id, None)
        if not segment.final:
            self._growing[segment.id] = segment
        elif segment.words:
            self._console.print(final_line(segment))
        self._live.update(Group(*(growing_line(s) for s in self._growing.values())))
