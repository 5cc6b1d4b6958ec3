"""Percentiles with the confidence they deserve: percentile bootstrap, seeded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Figure", "exact", "mean_of", "percentile_of", "ratio_of", "slope"]

SEED = 20_261_123
RESAMPLES = 1_000
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure: its value, the 95% confidence interval where there is one, and how many samples it has."""

    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    n: int = 1


def exact(value: float, unit: str, n: int = 1) -> Figure:
    """A figure that was counted, not sampled."""
    return Figure(float(value), unit, None, None, n)


def percentile_of(samples: Sequence[float], percent: float, unit: str) -> Figure | None:
    """A percentile (linear interpolation between ranks); None of nothing."""
    return _bootstrapped(samples, lambda values: np.asarray(np.percentile(values, percent, axis=-1)), unit)


def mean_of(samples: Sequence[float], unit: str) -> Figure | None:
    """The mean; None of nothing."""
    return _bootstrapped(samples, lambda values: np.asarray(values.mean(axis=-1)), unit)


def ratio_of(parts: Sequence[tuple[float, float]], unit: str) -> Figure | None:
    """Sum of the first over sum of the second, as of word errors over words; blocks are resampled whole.

    None where the second sum is 0.
    """
    pairs = np.asarray(parts, np.float64).reshape(-1, 2)
    total = pairs.sum(axis=0)
    if total[1] == 0:
        return None
    value = float(total[0] / total[1])
    if len(pairs) < 2:
        return Figure(value, unit, None, None, len(pairs))
    drawn = pairs[_draws(len(pairs))].sum(axis=1)
    drawn = drawn[drawn[:, 1] > 0]
    low, high = _bounds(drawn[:, 0] / drawn[:, 1])
    return Figure(value, unit, low, high, len(pairs))


def slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Of the straight line through the points by least squares; 0 for fewer than two."""
    if len(xs) < 2:
        return 0.0
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread if spread else 0.0


def _bootstrapped(
    samples: Sequence[float], statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]], unit: str
) -> Figure | None:
    values = np.asarray(samples, np.float64)
    if len(values) == 0:
        return None
    value = float(statistic(values))
    if len(values) < 2:
        return Figure(value, unit, None, None, 1)
    low, high = _bounds(statistic(values[_draws(len(values))]))
    return Figure(value, unit, low, high, len(values))


def _draws(count: int) -> NDArray[np.int64]:
    """Indices [RESAMPLES, count], the same for the same count, so that two runs differ by their data alone."""
    return np.random.default_rng(SEED).integers(0, count, (_resamples(count), count))


def _resamples(count: int) -> int:
    """Fewer for very many samples, whose interval is narrow anyway: at most 20 million indices."""
    return max(100, min(RESAMPLES, 20_000_000 // count))


def _bounds(statistics: NDArray[np.float64]) -> tuple[float, float]:
    outside = (1 - _CONFIDENCE) / 2 * 100
    low, high = np.percentile(statistics, [outside, 100 - outside])
    return float(low), float(high)
