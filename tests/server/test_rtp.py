"""Plain RTP end to end: a participant is announced by HTTP, and their Opus comes over UDP."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from captions.config import ConfigError, load
from captions.models.moonshine.model import MoonshineModel
from captions.models.scripted import ScriptedModel
from captions.server.server import Server
from captions.stream.opus import OpusEncoder
from tests.server.harness import NOTHING, PATIENCE_S, Served, serving, until
from tests.speech import dickens

RTP = {"listen": "127.0.0.1:0"}
ADA = {"room": "daily", "track": "mic", "participant": {"id": "ada", "name": "Ada"}}
LEVEL = 3


@contextmanager
def sender(answer: dict[str, Any]) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.connect((answer["address"], answer["port"]))
        yield udp


def packets(ssrc: int, start_s: float, end_s: float, payload_type: int = 96) -> Iterator[bytes]:
    """The reader as an SFU forwards them: 20 ms of Opus each, with the level of RFC 6464."""
    encoder = OpusEncoder(24_000)
    pcm = dickens(start_s, end_s)
    for number, at in enumerate(range(0, len(pcm) - 479, 480)):
        payload = encoder.encode(pcm[at : at + 480])
        head = struct.pack("!BBHII", 0x90, payload_type, (65_500 + number) & 0xFFFF, number * 960, ssrc)
        yield head + struct.pack("!HHBBH", 0xBEDE, 1, LEVEL << 4, 0x80 | 30, 0) + payload


def bye(ssrc: int) -> bytes:
    return struct.pack("!BBHI", 0x81, 203, 1, ssrc)


async def announced(served: Served, request: dict[str, Any] = ADA, **headers: str) -> dict[str, Any]:
    status, body = await served.ask("POST", "/v1/rtp", headers, json.dumps(request))
    assert status == 201, body
    answer: dict[str, Any] = json.loads(body)
    return answer


async def text_of(served: Served, room: str) -> str:
    _, transcript = await served.get(f"/v1/rooms/{room}/transcript.json")
    return " ".join(segment["text"] for segment in json.loads(transcript))


async def test_what_an_sfu_forwards_is_captioned_in_its_room_under_its_name() -> None:
    async with serving(MoonshineModel(1), rtp=RTP) as served:
        answer = await announced(served, ADA | {"audio_level_extension": LEVEL})
        assert (answer["codec"], answer["clock_rate"], answer["payload_type"]) == ("opus", 48_000, None)
        with sender(answer) as udp:
            for packet in packets(answer["ssrc"], 1.0, 4.8):
                udp.send(packet)
            await until(lambda: served.server.census().speaking == 1)
            status, _ = await served.ask("DELETE", f"/v1/rtp/{answer['id']}")
        assert status == 200
        await served.nothing_held()
        _, transcript = await served.get("/v1/rooms/daily/transcript.json")
    segments = json.loads(transcript)
    assert {(s["participant"]["id"], s["participant"]["name"], s["track"]) for s in segments} == {("ada", "Ada", "mic")}
    assert segments[0]["text"].lower().startswith("it was the best of times")


async def test_encrypted_packets_are_heard_and_those_of_another_key_or_sent_again_are_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pylibsrtp = pytest.importorskip("pylibsrtp")
    key = bytes(range(100, 130))
    told = b64encode(key).decode()
    caplog.set_level("DEBUG")
    async with serving(MoonshineModel(1), rtp=RTP) as served:
        answer = await announced(served, ADA | {"srtp_key": told, "audio_level_extension": LEVEL})
        ours, other = (
            pylibsrtp.Session(pylibsrtp.Policy(one, pylibsrtp.Policy.SSRC_ANY_OUTBOUND)) for one in (key, bytes(30))
        )
        with sender(answer) as udp:
            udp.send(next(packets(answer["ssrc"], 1.0, 1.1)))
            udp.send(other.protect(next(packets(answer["ssrc"], 1.0, 1.1))))
            for packet in packets(answer["ssrc"], 1.0, 4.8):
                sealed = ours.protect(packet)
                udp.send(sealed)
            udp.send(sealed)
            udp.send(bye(answer["ssrc"]))
            async with asyncio.timeout(PATIENCE_S):
                while await served.metric("captions_packets_dropped_total", reason="srtp") < 4:
                    pass
        await served.ask("DELETE", f"/v1/rtp/{answer['id']}")
        await served.nothing_held()
        assert (await text_of(served, "daily")).lower().startswith("it was the best of times")
        status, refusal = await served.ask("POST", "/v1/rtp", {}, json.dumps(ADA | {"srtp_key": told[:-8]}))
    assert (status, "srtp_key" in refusal, told[:-8] in refusal) == (400, True, False)
    assert told not in caplog.text
    assert told not in json.dumps(answer)


async def test_strangers_packets_are_counted_and_cost_nobody_a_word() -> None:
    async with serving(rtp=RTP) as served:
        answer = await announced(served, ADA | {"ssrc": 77, "payload_type": 111})
        assert answer["ssrc"] == 77
        with sender(answer) as udp, sender(answer) as stranger:
            udp.send(next(packets(77, 1.0, 1.1, 111)))
            stranger.send(next(packets(77, 1.0, 1.1, 111)))
            stranger.send(next(packets(78, 1.0, 1.1, 111)))
            stranger.send(b"nonsense")
            stranger.send(bye(77))
            for reason, count in (("unknown_source", 2), ("malformed", 1)):
                while await served.metric("captions_packets_dropped_total", reason=reason) < count:
                    pass
        assert served.server.census().engine.tracks == 1


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("", "truncated"),
        ("{}", "room"),
        (json.dumps(ADA | {"ssrc": 0}), "ssrc"),
        (json.dumps(ADA | {"room": "\n"}), "room"),
    ],
)
async def test_a_request_that_cannot_be_read_is_refused_by_name(body: str, named: str) -> None:
    async with serving(rtp=RTP) as served:
        status, text = await served.ask("POST", "/v1/rtp", {}, body)
    assert (status, named in text) == (400, True), text


async def test_who_may_not_publish_there_is_refused() -> None:
    keys = {"publish": ({"key": "team", "rooms": "team-"},), "watch": ("watch",)}
    async with serving(rtp=RTP, keys=keys) as served:
        for key, status in (("wrong", 401), ("watch", 401), ("team", 403)):
            found, _ = await served.ask("POST", "/v1/rtp", {"Authorization": f"Bearer {key}"}, json.dumps(ADA))
            assert found == status
        answer = await announced(served, ADA | {"room": "team-a"}, Authorization="Bearer team")
        assert (await served.ask("DELETE", f"/v1/rtp/{answer['id']}"))[0] == 401
        assert (await served.ask("DELETE", "/v1/rtp/other", {"Authorization": "Bearer team"}))[0] == 404


async def test_a_full_server_a_taken_source_and_another_method_are_refused() -> None:
    async with serving(rtp=RTP, limits={"tracks": 1}) as served:
        await announced(served, ADA | {"ssrc": 5})
        assert (await served.ask("POST", "/v1/rtp", {}, json.dumps(ADA | {"ssrc": 5})))[0] == 409
        assert (await served.ask("POST", "/v1/rtp", {}, json.dumps(ADA)))[0] == 503
        assert (await served.ask("POST", "/healthz"))[0] == 405
        assert (await served.ask("POST", "/nowhere"))[0] == 404


async def test_without_a_port_there_is_no_rtp() -> None:
    async with serving() as served:
        assert (await served.ask("POST", "/v1/rtp", {}, json.dumps(ADA)))[0] == 404
        await served.nothing_held(NOTHING)


@pytest.mark.parametrize("listen", ["nowhere", "127.0.0.1:99999", "192.0.2.1:5004"])
def test_an_address_that_cannot_be_listened_on_is_an_error_of_the_configuration(listen: str) -> None:
    with pytest.raises(ConfigError, match=r"rtp\.listen"):
        Server(load(None, {}, {"rtp": {"listen": listen}}), ScriptedModel(1))
