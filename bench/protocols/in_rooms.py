"""Doors at which nothing comes back: captions are read in the room. Plain RTP, and LiveKit's Track Egress."""

from __future__ import annotations

import json
import secrets
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from bench.load.clips import AudioFormat
from bench.measure.events import Observation
from bench.protocols.dialect import LINGERS_S, DuePacket, Payload, with_route
from bench.protocols.native import seen_of
from captions.doors.native import messages as native
from captions.stream.opus import OPUS_CLOCK

__all__ = ["EgressDialect", "RoomDialect", "RtpDialect"]

_LEVEL = 1
"""The id under which the packets' headers have their level (RFC 8285)."""


class RoomDialect:
    """See `Dialect`. `watches`: the address at which the captions come back, for `receive`.

    The room has a new name each time: who watches one is shown what was said there before.
    """

    padding: bytes | None = None
    lingers_s = LINGERS_S
    subprotocols: Sequence[str] = ()

    def __init__(self, url: str, key: str | None, tracks: Sequence[str]) -> None:
        self.room = f"bench-{tracks[0]}-{secrets.token_hex(4)}"
        self.headers: Mapping[str, str] = {"Authorization": f"Bearer {key}"} if key else {}
        self.watches = with_route(url, f"/v1/rooms/{self.room}/captions")

    def opening(self) -> list[Payload]:
        return []

    def receive(self, payload: Payload, at: float) -> list[Observation]:
        try:
            message = native.decode_server(payload)
        except native.ProtocolError as error:
            raise ValueError(str(error)) from None
        return [seen_of(message, at)] if isinstance(message, native.Segment) else []


class EgressDialect(RoomDialect):
    """One track; it ends with its connection."""

    def __init__(self, url: str, key: str | None, tracks: Sequence[str]) -> None:
        super().__init__(url, key, tracks)
        self.audio_format = AudioFormat("pcm_s16le")
        self.url = with_route(url, f"/v1/livekit?room={self.room}&track={tracks[0]}")

    def audio(self, packets: Sequence[DuePacket]) -> list[Payload]:
        return [packet.data for packet in packets]

    def finishing(self, track: str) -> list[Payload]:
        del track
        return ['{"muted": true}']


class RtpDialect(RoomDialect):
    """Datagrams for one UDP port. Announce every track by `request`, at `url`, and say the answers to `expected`.

    A payload that is text is the id of a source, to be deleted there.
    """

    def __init__(self, url: str, key: str | None, tracks: Sequence[str]) -> None:
        super().__init__(url, key, tracks)
        self.audio_format = AudioFormat()
        self.url = with_route(url, "/v1/rtp").replace("ws", "http", 1)
        self.tracks = tracks
        self._ssrcs: dict[str, bytes] = {}
        self._ids: dict[str, str] = {}

    def request(self, track: str) -> bytes:
        return json.dumps({"room": self.room, "track": track, "audio_level_extension": _LEVEL}).encode()

    def expected(self, track: str, answer: Mapping[str, Any]) -> None:
        self._ssrcs[track], self._ids[track] = answer["ssrc"].to_bytes(4), answer["id"]

    def audio(self, packets: Sequence[DuePacket]) -> list[Payload]:
        return [self._datagram(packet) for packet in packets]

    def finishing(self, track: str) -> list[Payload]:
        return [self._ids[track]]

    def _datagram(self, packet: DuePacket) -> bytes:
        seq, timestamp = packet.number & 0xFFFF, packet.number * (OPUS_CLOCK // 50) & 0xFFFF_FFFF
        has_level = packet.level is not None
        head = struct.pack("!BBHI", 0x90 if has_level else 0x80, 96, seq, timestamp) + self._ssrcs[packet.track]
        if packet.level is not None:
            head += struct.pack("!HHBBH", 0xBEDE, 1, _LEVEL << 4, packet.level, 0)
        return head + packet.data
