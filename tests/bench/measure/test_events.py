"""The event log, and what the network did to the packets in it."""

from __future__ import annotations

from pathlib import Path

from bench.load.impair import Impairment, deliveries
from bench.measure.events import Seen, SeenWord, SentAudio, TrackLog, read_logs, write_logs
from bench.servers.script import scripted_log, standard_script


def test_a_position_was_sent_with_the_packet_that_holds_it() -> None:
    sent = SentAudio()
    for number in (0, 2, 1):
        sent.add((number + 1) * 0.02, 100.0 + number)
    assert [sent.when(position) for position in (0.0, 0.02, 0.03, 0.05, 0.06, 9.0)] == [100, 100, 101, 102, 102, 102]
    assert sent.end == 0.06


def test_logs_are_read_as_they_were_written(tmp_path: Path) -> None:
    log = scripted_log(standard_script(1, 3))
    log.add(Seen(log.track, 1.0, "x", (SeenWord("é", 0.1),), ("b",), False, {"word_latency": 3.0}))
    write_logs(tmp_path / "log.json", [log, TrackLog("empty")])
    assert read_logs(tmp_path / "log.json") == [log, TrackLog("empty")]


def test_a_good_network_delivers_in_time() -> None:
    assert deliveries(3, 0.02, Impairment(), seed=1) == [(0.02, 0, True), (0.04, 1, True), (0.06, 2, True)]


def test_loss_is_as_asked_and_repeatable() -> None:
    delivered = deliveries(10_000, 0.02, Impairment(loss=0.1), seed=1)
    assert delivered == deliveries(10_000, 0.02, Impairment(loss=0.1), seed=1)
    assert 900 < sum(not arrives for _, _, arrives in delivered) < 1_100


def test_jitter_without_reordering_keeps_the_order() -> None:
    delivered = deliveries(1_000, 0.02, Impairment(jitter_ms=30), seed=1)
    assert [number for _, number, _ in delivered] == list(range(1_000))
    assert all(at >= (number + 1) * 0.02 for at, number, _ in delivered)


def test_jitter_with_reordering_does_not() -> None:
    numbers = [number for _, number, _ in deliveries(1_000, 0.02, Impairment(jitter_ms=30, reordering=True), seed=1)]
    assert numbers != sorted(numbers)
    assert sorted(numbers) == list(range(1_000))
