"""Every Prometheus object: a unit, a meaning, buckets that tell something."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from captions.metrics import Metrics
from captions.types import FRAME_S

FAMILIES = {family.name: family for family in Metrics().registry.collect()}
KYUTAIS = {"asr_open_channels", "asr_connect", "asr_model_step_duration"}
"""Those that go by the names of Kyutai's server."""

OURS = [name for name in FAMILIES if name not in KYUTAIS]

ISSUE = {
    "connections": "captions_connections",
    "tracks": "captions_tracks",
    "lanes in use": "captions_lanes_in_use",
    "steps": "captions_steps",
    "step time": "captions_step_seconds",
    "queue time": "captions_word_latency_part_seconds",
    "word latency": "captions_word_latency_seconds",
    "its parts": "captions_word_latency_part_seconds",
    "ttfs": "captions_ttfs_seconds",
    "dropped audio": "captions_dropped_audio_seconds",
    "errors by code": "captions_errors",
}


@pytest.mark.parametrize("what", ISSUE)
def test_what_the_issue_asks_for_can_be_seen(what: str) -> None:
    assert ISSUE[what] in FAMILIES


@pytest.mark.parametrize("name", OURS)
def test_every_metric_has_our_prefix(name: str) -> None:
    assert name.startswith("captions_")


@pytest.mark.parametrize("name", FAMILIES)
def test_every_metric_has_help(name: str) -> None:
    assert len(FAMILIES[name].documentation.split()) >= 2


@pytest.mark.parametrize("name", [name for name in OURS if FAMILIES[name].type == "histogram"])
def test_every_histogram_is_of_seconds(name: str) -> None:
    assert name.endswith("_seconds")


@pytest.mark.parametrize("name", ["step_seconds", "lane_wait_seconds", "word_latency_part_seconds"])
def test_buckets_stand_around_the_frame(name: str) -> None:
    metrics = Metrics()
    metrics.word_latency_part_seconds.labels(part="buffer").observe(0.0)
    family = next(family for family in metrics.registry.collect() if family.name == f"captions_{name}")
    bounds = [float(sample.labels["le"]) for sample in family.samples if "le" in sample.labels]
    at = bounds.index(FRAME_S)
    assert FRAME_S / 2 < bounds[at - 1] < FRAME_S < bounds[at + 1] < FRAME_S * 1.5


def test_the_exposition_is_what_prometheus_reads() -> None:
    metrics = Metrics()
    metrics.errors.labels(code="bad_audio").inc()
    metrics.word_latency_seconds.observe(0.3)
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics.exposition().decode())
        for sample in family.samples
    }
    assert samples["captions_errors_total", "bad_audio"] == 1
    assert samples["captions_word_latency_seconds_bucket", "0.32"] == 1
    assert samples["captions_word_latency_seconds_bucket", "0.24"] == 0


def test_two_servers_do_not_share_metrics() -> None:
    one, two = Metrics(), Metrics()
    one.words.inc()
    assert b"captions_words_total 0.0" in two.exposition()
