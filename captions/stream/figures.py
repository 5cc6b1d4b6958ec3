"""What each latency figure is: the one table that segments, metrics, benchmarks and the page take their names from.

docs/benchmarks.md defines the figures. They are sent in milliseconds, as the fields of `Latency`.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FIGURES", "PARTS", "Figure"]


@dataclass(frozen=True, slots=True)
class Figure:
    """`name` is the field of `Latency`, `statistic` what many of them come to, and `french` the page's other title.

    `part`: one of the six that a word's latency is made of, in their order in time.
    """

    name: str
    statistic: str
    title: str
    meaning: str
    french: str = ""
    unit: str = "ms"
    part: bool = False


FIGURES = (
    Figure("word_latency", "p95", "word latency", "From the arrival of a word's last audio to its first sending"),
    Figure("buffer", "mean", "frame", "until the frame with the word's end was full", "trame", part=True),
    Figure("model_delay", "mean", "look-ahead", "until the model's look-ahead was in", "anticipation", part=True),
    Figure("lane_wait", "mean", "lane", "until its track had a lane", "place", part=True),
    Figure("queue", "mean", "queue", "until its step began", "file", part=True),
    Figure("compute", "mean", "compute", "until its step was done", "calcul", part=True),
    Figure("send", "mean", "send", "until it was sent", "envoi", part=True),
    Figure("first_partial", "p50", "first partial", "From the arrival of a spurt's first speech to its first text"),
    Figure("ttfs", "p50", "time to final segment", "From the arrival of a spurt's last speech to its final segment"),
    Figure(
        "capture_to_caption", "p50", "capture to caption", "From a word's capture by the sender to its first sending"
    ),
)

PARTS = tuple(figure.name for figure in FIGURES if figure.part)
"""The parts of a word's latency, which add up to it."""
