"""The self-check server says its script at the scripted moments, without a socket."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bench.commands.selfcheck import matches
from bench.load.clips import AudioFormat
from bench.measure.events import SentAudio, TrackLog
from bench.measure.metrics import figures, measure
from bench.protocols.native import NativeDialect
from bench.servers.script import PACKET_S, at_moment, expected, moves, standard_script
from bench.servers.scripted_server import ScriptedTrack
from captions.doors.native import messages as native


def test_what_a_client_of_it_sees_is_the_script() -> None:
    script = standard_script()
    track, dialect = ScriptedTrack("r", "t", script), NativeDialect("ws://h:1", None, ["t"], AudioFormat(), "r", 0.0)
    sent, due = SentAudio(), []
    for number in range(round(script.duration_s / PACKET_S)):
        end = (number + 1) * PACKET_S
        sent.add(end, 70.0 + end)
        due += track.heard(end, 70.0 + end)
    log = TrackLog("t", sent, finished_at=70.0 + sent.end, done_at=70.0 + sent.end + script.done_ms / 1_000)
    for at, message in sorted(due, key=lambda one: one[0]):
        for observation in dialect.receive(native.encode(message, "msgpack"), at):
            log.add(observation)
    measured = figures(measure(log, script.truth))
    assert {name: measured[name].value for name in measured} == pytest.approx(expected(script))


def test_nothing_is_said_before_its_audio() -> None:
    script = standard_script()
    track = ScriptedTrack("r", "t", script)
    assert track.heard(script.words[0].gold.start - PACKET_S, 1.0) == []
    assert len(track.heard(script.duration_s, 2.0)) == len(moves(script, "t"))
    assert track.heard(script.duration_s, 3.0) == []


def test_audio_that_comes_late_and_at_once_does_not_mix_the_script_up() -> None:
    script = standard_script()
    track = ScriptedTrack("r", "t", script)
    due = track.heard(script.duration_s, 5.0)
    assert track.finished(5.0) == due[-1][0]
    assert [at for at, _ in due] == sorted(at for at, _ in due)
    segments = [message for _, message in due if isinstance(message, native.Segment)]
    for before, now in pairwise(segments):
        assert now.id != before.id or now.words[: len(before.words)] == before.words


def test_moves_are_in_order_of_time() -> None:
    due = [move.due for move in moves(standard_script(), "t")]
    assert due == sorted(due)
    assert at_moment(moves(standard_script(), "t")[0].what, 5.0).at == 5.0


@pytest.mark.parametrize(
    ("name", "scripted", "measured", "good"),
    [
        ("word_latency_p50", 300.0, 304.9, True),
        ("word_latency_p50", 300.0, 307.0, False),
        ("ttfs_p50", 1_000.0, 1_019.0, True),
        ("wer", 0.25, 0.25, True),
        ("wer", 0.25, 0.251, False),
    ],
)
def test_the_bounds_of_the_self_check(name: str, scripted: float, measured: float, good: bool) -> None:
    assert matches(name, scripted, measured) is good
