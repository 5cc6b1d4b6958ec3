"""Percentiles and their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from bench.measure.intervals import Figure, mean_of, percentile_of, ratio_of


def test_percentiles_interpolate() -> None:
    figure = percentile_of([10, 20, 30, 40], 50, "ms")
    assert figure is not None
    assert (figure.value, figure.unit, figure.n) == (25.0, "ms", 4)


def test_one_sample_has_no_interval_and_none_no_figure() -> None:
    assert percentile_of([7.0], 95, "ms") == Figure(7.0, "ms", None, None, 1)
    assert percentile_of([], 95, "ms") is None
    assert mean_of([], "ms") is None
    assert ratio_of([], "") is None
    assert ratio_of([(1.0, 0.0)], "") is None


def test_the_interval_of_a_mean_is_that_of_theory() -> None:
    samples = np.random.default_rng(1).normal(100.0, 10.0, 400)
    figure = mean_of(samples.tolist(), "ms")
    assert figure is not None
    assert figure.low is not None
    assert figure.high is not None
    assert figure.high - figure.low == pytest.approx(2 * 1.96 * 10 / np.sqrt(400), rel=0.15)
    assert figure.low < figure.value < figure.high


def test_a_ratio_is_of_sums_not_of_ratios() -> None:
    figure = ratio_of([(1, 10), (0, 10), (2, 4)], "")
    assert figure is not None
    assert figure.value == 3 / 24


def test_the_same_samples_give_the_same_interval() -> None:
    assert percentile_of([1, 5, 9, 2], 95, "ms") == percentile_of([1, 5, 9, 2], 95, "ms")
