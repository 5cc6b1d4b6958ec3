"""The figures of one captioned clip, from the segments a client saw (docs/benchmarks.md defines them)."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from captions.doors.native.messages import Segment

__all__ = ["Tally", "percentile"]


def percentile(values: list[float], share: float) -> float | None:
    """The nearest-rank percentile; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def plain(text: str) -> list[str]:
    """Words as they sound: lower case, no punctuation."""
    return re.sub(r"[^\w' ]+", " ", text.casefold()).split()


class Tally:
    """`add` every segment revision, then read the figures. Erasure counts words, as they sound, that were shown and
    then changed or withdrawn; of committed words and of everything shown.
    """

    def __init__(self, truth: str) -> None:
        self._truth = truth
        self._final: dict[str, Segment] = {}
        self._shown: dict[str, tuple[list[str], list[str]]] = {}
        self._erased_committed = 0
        self._erased_shown = 0
        self._word_ms: list[float] = []
        self._first_partial_ms: list[float] = []
        self._ttfs_ms: list[float] = []
        self.last_words_after_end_s: float | None = None

    def add(self, segment: Segment) -> None:
        committed = plain(segment.text)
        shown = committed + plain(segment.tentative)
        before_committed, before_shown = self._shown.get(segment.id, ([], []))
        self._erased_committed += _erased(before_committed, committed)
        self._erased_shown += _erased(before_shown, shown)
        self._shown[segment.id] = (committed, shown)
        latency = segment.latency
        if latency.word_latency is not None:
            self._word_ms += [latency.word_latency] * max(1, len(committed) - len(before_committed))
        if latency.first_partial is not None:
            self._first_partial_ms.append(latency.first_partial)
        if latency.ttfs is not None:
            self._ttfs_ms.append(latency.ttfs)
        if segment.final and segment.words:
            self._final[segment.id] = segment

    def measured(self) -> dict[str, Any]:
        """Every figure by name; latencies in milliseconds."""
        import jiwer

        said = [word for _, segment in sorted(self._final.items()) for word in plain(segment.text)]
        truth = plain(self._truth)
        words = max(1, len(said))
        return {
            "words": len(said),
            "wer": jiwer.wer(" ".join(truth), " ".join(said)) if said else 1.0,
            "first_partial_p50_ms": percentile(self._first_partial_ms, 0.5),
            "ttfs_p50_ms": percentile(self._ttfs_ms, 0.5),
            "word_latency_p50_ms": percentile(self._word_ms, 0.5),
            "word_latency_p95_ms": percentile(self._word_ms, 0.95),
            "erasure_committed": self._erased_committed / words,
            "erasure_shown": self._erased_shown / words,
            "last_words_after_end_ms": None
            if self.last_words_after_end_s is None
            else self.last_words_after_end_s * 1_000,
        }

    def figures(self) -> dict[str, str]:
        """The figures as a person reads them."""
        m = self.measured()
        return {
            "words": f"{m['words']} of {len(plain(self._truth))}",
            "word error rate": f"{m['wer']:.1%}",
            "first_partial, median": _ms(m["first_partial_p50_ms"]),
            "time to final segment, median": _ms(m["ttfs_p50_ms"]),
            "word_latency, median · p95": f"{_ms(m['word_latency_p50_ms'])} · {_ms(m['word_latency_p95_ms'])}",
            "last words after the end": _ms(m["last_words_after_end_ms"]),
            "erasure, committed · shown": f"{m['erasure_committed']:.2f} · {m['erasure_shown']:.2f}",
        }

    def json(self) -> str:
        return json.dumps(self.measured(), indent=2) + "\n"


def _erased(before: list[str], now: list[str]) -> int:
    """Words of `before` that no longer stand where they stood."""
    return sum(1 for i, word in enumerate(before) if i >= len(now) or now[i] != word)


def _ms(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.0f} ms"
