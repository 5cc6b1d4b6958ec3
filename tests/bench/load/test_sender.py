"""A sender against a scripted server on a real socket: everything is sent, and everything said is seen."""

from __future__ import annotations

import asyncio
import time

import pytest

from bench.load.connection import ConnectionRefused
from bench.load.impair import Impairment
from bench.load.processes import LoadReport, shares_of
from bench.load.sender import SenderReport, SenderShare, Target, TrackPlan, run_share
from bench.measure.metrics import figures, measure, pooled
from bench.servers.script import PACKET_S, Script, ScriptedWord
from bench.servers.scripted_server import scripted_server
from bench.truth.words import GoldWord

SHORT = Script(
    (
        (
            ScriptedWord(GoldWord("left", 0.06, 0.12), "left", "lift", 10, 40),
            ScriptedWord(GoldWord("right", 0.16, 0.22), "wrong", "wrong", 10, 40),
        ),
    ),
    (60.0,),
)
PACKETS = tuple([b"\x08"] * round(SHORT.duration_s / PACKET_S))


@pytest.mark.parametrize("gather_s", [0.0, 0.02])
async def test_what_two_connections_send_and_see(gather_s: float) -> None:
    async with scripted_server(SHORT) as url:
        plans = [TrackPlan(f"t{number}", PACKETS, 0.005 * number) for number in range(3)]
        (share,) = shares_of(Target(url, gather_s=gather_s), plans, tracks_per_connection=2)
        assert [len(tracks) for tracks in share.connections] == [2, 1]
        report = await run_now(share)
    assert len(report.late_ms) + report.held_up == 3 * len(PACKETS)
    measured = figures(pooled(measure(log, SHORT.truth) for log in report.logs))
    assert {name: measured[name].value for name in ("words", "wer", "troubles")} == {
        "words": 6,
        "wer": 0.5,
        "troubles": 0,
    }
    assert measured["word_latency_p50"].value >= 40


async def test_lost_packets_are_not_sent_but_have_their_moment() -> None:
    async with scripted_server(SHORT) as url:
        lossy = Target(url, impairment=Impairment(loss=1.0))
        (share,) = shares_of(lossy, [TrackPlan("t", PACKETS, 0.0)])
        (log,) = (await run_now(share)).logs
    assert log.seen == []
    assert len(log.sent.ends) == len(PACKETS)
    assert log.done_at is not None


async def test_a_server_that_is_not_there_is_an_error() -> None:
    (share,) = shares_of(Target("ws://127.0.0.1:1"), [TrackPlan("t", PACKETS, 0.0)])
    with pytest.raises(ExceptionGroup) as refused:
        await run_now(share)
    assert refused.group_contains(ConnectionRefused)


def test_tracks_are_divided_over_processes_and_connections() -> None:
    plans = [TrackPlan(f"t{number}", (), 0.0) for number in range(7)]
    shares = shares_of(Target("ws://h"), plans, processes=2, tracks_per_connection=3)
    assert [[len(tracks) for tracks in share.connections] for share in shares] == [[3, 1], [3]]
    alone = shares_of(Target("ws://h", protocol="vosk"), plans, processes=2)
    assert [[len(tracks) for tracks in share.connections] for share in alone] == [[1] * 4, [1] * 3]


def test_the_harness_says_when_it_was_late() -> None:
    assert not LoadReport(late_ms=[1.0] * 99 + [50.0] * 1, held_up=100).harness_limited
    assert LoadReport(late_ms=[1.0] * 90 + [50.0] * 10).harness_limited
    assert LoadReport(late_ms=[1.0] * 3, held_up=1).held_up_share == 0.25


async def run_now(share: SenderShare) -> SenderReport:
    begin_at = asyncio.get_running_loop().create_future()
    begin_at.set_result(time.monotonic())
    return await run_share(share, asyncio.Event(), begin_at)
