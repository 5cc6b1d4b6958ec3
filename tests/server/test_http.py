"""What is seen from outside over plain HTTP."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from captions.config import load
from captions.doors.native.messages import Error, Ping, Pong, Segment
from captions.models.scripted import ScriptedModel
from captions.rooms.transcripts import Transcript
from captions.server.pages import Page, text
from captions.server.server import Server
from tests.server.harness import PATIENCE_S, Gate, Served, serving, started, until
from tests.speech import saying


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


async def test_health_and_readiness_of_a_warm_server() -> None:
    async with serving() as served:
        assert await served.get("/healthz") == (200, "ok")
        assert await served.get("/readyz") == (200, "0% full")


async def test_a_server_is_healthy_but_not_ready_until_its_model_is_warm(gate: Gate) -> None:
    served = Served(Server(load(None, {}, {"server": {"port": 0}}), ScriptedModel(1, step_work=gate)))
    starting = asyncio.create_task(served.server.start())
    await until(gate.entered.is_set)
    assert (await served.get("/healthz"))[0] == 200
    assert await served.get("/readyz") == (503, "not ready")
    gate.opened.set()
    await starting
    assert await served.get("/readyz") == (200, "0% full")
    await served.server.stop()


async def test_a_draining_server_is_not_ready_and_takes_nothing_new_but_says_its_last_words(gate: Gate) -> None:
    gate.opened.set()
    async with serving(ScriptedModel(1, step_work=gate)) as served, served.talker() as client:
        await client.send(started("t1"))
        await client.speak("t1", saying(1, 2, 3))
        await client.hear(Segment)
        gate.opened.clear()
        await client.speak("t1", saying(1, 2, 3, 4)[9:])
        await client.send(Ping("all of it has come"))
        await client.hear(Pong)
        draining = asyncio.create_task(served.server.stop())
        await until(lambda: served.server.is_draining)
        assert await served.get("/readyz") == (503, "draining")
        assert (await served.get("/healthz"))[0] == 200
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"{served.url}/v1/stream", proxy=None):
                pass
        assert refused.value.response.status_code == 503
        await client.send(started("t2"))
        error = await client.hear(Error)
        assert (error.code, error.track, error.fatal) == ("draining", "t2", False)
        gate.opened.set()
        assert (await client.hear(Segment, lambda segment: segment.final)).text == "w1 w2 w3 w4"
        await draining
        await client.connection.wait_closed()
        assert client.connection.close_code == 1001


async def test_metrics_tell_what_was_done() -> None:
    async with serving() as served, served.talker() as client:
        await client.say("t1", saying(1, 2, 3))
        assert await served.metric("captions_words_total") == 3
        assert await served.metric("captions_segments_total") == 1
        assert await served.metric("captions_audio_seconds_total") == pytest.approx(9 * 0.08)
        assert await served.metric("captions_lanes") == 4
        assert await served.metric("captions_connections", route="native") == 1
        assert await served.metric("captions_steps_total") > 9
        assert await served.metric("captions_step_seconds_count") == await served.metric("captions_steps_total")


async def test_metrics_tell_what_a_full_step_was_measured_to_take() -> None:
    model = ScriptedModel(2)
    model.info = replace(model.info, measured=((1, 0.012), (2, 0.02)))
    async with serving(model) as served:
        assert await served.metric("captions_full_step_seconds", lanes="1") == 0.012
        assert await served.metric("captions_full_step_seconds", lanes="2") == 0.02


async def test_metrics_carry_no_word_and_no_name() -> None:
    async with serving() as served, served.talker() as client:
        await client.say("track-name", saying(41, 42, 43), room="room-name", name="Zoé")
        _, text = await served.get("/metrics")
        assert not [private for private in ("w41", "track-name", "room-name", "Zoé") if private in text]


@pytest.mark.parametrize(
    "path", ["/nowhere", "/v1", "/v1/stream/", "/v1/rooms//captions", "/v1/rooms/a/b/captions", "/healthz/x"]
)
async def test_what_is_not_there(path: str) -> None:
    async with serving() as served:
        assert (await served.get(path))[0] == 404


async def test_health_needs_no_key() -> None:
    async with serving(keys={"publish": ["secret"]}) as served:
        statuses = [(await served.get(path))[0] for path in ("/healthz", "/readyz", "/metrics")]
        assert statuses == [200, 200, 200]


async def test_a_stream_is_no_page() -> None:
    async with serving() as served:
        status, _ = await served.get("/v1/stream")
        assert 400 <= status < 500


async def test_names_that_cannot_be_are_refused_and_leave_nothing() -> None:
    async with serving() as served:
        refused = [
            await served.get(f"/api/asr-streaming?room=r&name={'x' * 7_000}"),
            await served.get("/api/asr-streaming?room=r&participant=a%0Ab"),
            await served.get("/v1/rooms/a%0Ab/captions"),
            await served.get("/v1/rooms/a%0Ab/transcript.vtt"),
        ]
        assert [status for status, _ in refused] == [400] * 4
        assert max(len(body) for _, body in refused) <= 220


async def test_an_address_that_is_none_costs_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as served:
        assert (await served.get("//["))[0] == 400
        assert [record for record in caplog.records if record.exc_info] == []


async def test_transcripts_are_made_beside_the_loop_and_not_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    opened, begun = threading.Event(), []

    def slow(of: Transcript, form: str, lang: str, *, words: bool) -> Page:
        begun.append(form)
        opened.wait(PATIENCE_S)
        return text(200, lang)

    monkeypatch.setattr("captions.server.answers.transcript", slow)
    async with serving() as served:
        asking = [asyncio.create_task(served.get("/v1/rooms/daily/transcript.vtt?lang=fr")) for _ in range(11)]
        await until(lambda: any(task.done() for task in asking) and bool(begun))
        assert await served.get("/healthz") == (200, "ok")
        opened.set()
        answers = await asyncio.gather(*asking)
        assert sorted(status for status, _ in answers) == [200] * 10 + [503]
        assert await served.get("/v1/rooms/daily/transcript.vtt?lang=fr") == (200, "fr")


async def test_a_transcript_is_of_the_moment_it_was_asked_for() -> None:
    async with serving() as served, served.talker() as client:
        await client.say("t1", saying(1, 2))
        kept = await served.server.rooms.transcript("daily")
        await client.say("t2", saying(3))
        now = await served.server.rooms.transcript("daily")
        assert kept is not None
        assert now is not None
        assert [len(transcript.captions()) for transcript in (kept, now)] == [1, 2]
