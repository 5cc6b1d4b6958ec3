"""Captions in a terminal: final lines scroll by, the lines under way grow below them."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from captions.doors.native.messages import Caption, Segment, Uncaptioned

__all__ = ["CaptionView", "final_line", "growing_line", "missing_line"]


def growing_line(segment: Segment, when: str = "") -> Text:
    """Committed text plain, tentative text dim."""
    line = _speaker(segment, when).append(segment.text)
    if segment.tentative:
        line.append(" " if segment.text else "").append(segment.tentative, style="dim italic")
    return line


def final_line(segment: Segment, console: Console) -> Text:
    """A closed segment with its latency: of its last word, and from the end of speech where it ended a spurt.

    The latency stands behind the words, or on a line of its own where it would be torn over two.
    """
    line = _speaker(segment).append(segment.text)
    latency = segment.latency
    figures = [
        f"{name} {figure:.0f} ms"
        for name, figure in (("word", latency.word_latency), ("final after speech", latency.ttfs))
        if figure is not None
    ]
    if not figures:
        return line
    note = f"  {' · '.join(figures)}"
    fits = line.wrap(console, console.width)[-1].cell_len + len(note) <= console.width
    return line.append(note if fits else f"\n{note}", style="green")


def missing_line(missing: Uncaptioned, when: str = "") -> Text:
    """Speech that nobody transcribed, with its length."""
    length_s = max(1, round(missing.end - missing.start))
    return _speaker(missing, when).append(f"[not captioned: {length_s} s]", style="italic yellow")


def _speaker(caption: Caption, when: str = "") -> Text:
    name = caption.participant.name
    line = Text(when, style="dim") if when else Text()
    return line.append(Text(f"{name}: ", style="bold cyan")) if name else line


class CaptionView:
    """A context manager; call `show` with every revision of a caption.

    `when`: what stands before a line, of the moment it was said at, for who reads. Who measures gets latencies instead.
    """

    def __init__(self, console: Console, when: Callable[[float], str] | None = None) -> None:
        self._console = console
        self._when = when
        self._growing: dict[str, Segment] = {}
        self._missing: dict[str, Uncaptioned] = {}
        self._live = Live(console=console, refresh_per_second=12, transient=True)

    def __enter__(self) -> CaptionView:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.interrupt()
        self._live.stop()

    def show(self, caption: Caption) -> None:
        before = self._missing.get(caption.track)
        if before is not None and before.id != caption.id:
            self._console.print(missing_line(self._missing.pop(caption.track), self._time(before)))
        if isinstance(caption, Uncaptioned):
            self._missing[caption.track] = caption
        else:
            self._show(caption)
        self._draw()

    def interrupt(self) -> None:
        """No more comes of what is under way."""
        for missing in self._missing.values():
            self._console.print(missing_line(missing, self._time(missing)))
        self._missing.clear()
        self._growing.clear()
        self._draw()

    def _show(self, segment: Segment) -> None:
        self._growing.pop(segment.id, None)
        if not segment.final:
            self._growing[segment.id] = segment
        elif segment.words:
            when = self._time(segment)
            self._console.print(
                final_line(segment, self._console) if self._when is None else growing_line(segment, when)
            )

    def _time(self, caption: Caption) -> str:
        return "" if self._when is None else self._when(caption.said_at)

    def _draw(self) -> None:
        growing = [growing_line(segment, self._time(segment)) for segment in self._growing.values()]
        missing = [missing_line(missing, self._time(missing)) for missing in self._missing.values()]
        self._live.update(Group(*growing, *missing))
