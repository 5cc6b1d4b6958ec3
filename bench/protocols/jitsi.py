"""A Jitsi videobridge's export, `/v1/jitsi`: Opus packets in JSON, and what jitsi-meet shows back."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from bench.load.clips import AudioFormat
from bench.measure.events import Observation, Seen, SeenWord
from bench.protocols.dialect import LINGERS_S, DuePacket, Payload, with_route
from captions.stream.opus import OPUS_CLOCK

__all__ = ["JitsiDialect"]

_COMMITTED = 0.85
"""The stability above which jitsi-meet takes a text for one that stays."""


class JitsiDialect:
    """See `Dialect`. Stable texts are committed, what stands behind them is tentative."""

    padding: bytes | None = None
    lingers_s = LINGERS_S

    def __init__(self, url: str, key: str | None, tracks: Sequence[str], language: str) -> None:
        query = f"sessionId=bench-{tracks[0]}&sendBack=true&sendBackInterim=true&lang={language}"
        self.url = with_route(url, f"/v1/jitsi?{query}")
        self.headers: Mapping[str, str] = {"Authorization": f"Bearer {key}"} if key else {}
        self.subprotocols: Sequence[str] = ()
        self.audio_format = AudioFormat()
        self._tracks = tracks
        self._stable: dict[str, str] = {}

    def opening(self) -> list[Payload]:
        media_format = {"encoding": "opus", "sampleRate": OPUS_CLOCK, "channels": 2}
        return [
            _event("start", {"tag": track, "mediaFormat": media_format, "customParameters": {"endpointId": track}})
            for track in self._tracks
        ]

    def audio(self, packets: Sequence[DuePacket]) -> list[Payload]:
        return [self._media(packet) for packet in packets]

    def finishing(self, track: str) -> list[Payload]:
        return [_event("stop", {"tag": track})]

    def receive(self, payload: Payload, at: float) -> list[Observation]:
        try:
            result = msgspec.json.decode(payload, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise ValueError(str(error)) from None
        if result.get("type") != "transcription-result":
            return []
        unit, track = result["message_id"], result["participant"]["id"]
        text, is_final = result["transcript"][0]["text"], not result["is_interim"]
        if is_final or result["stability"] > _COMMITTED:
            self._stable[unit], tentative = text, ""
        else:
            tentative = text
        words = tuple(SeenWord(word) for word in self._stable.get(unit, "").split())
        return [Seen(track, at, unit, words, tuple(tentative.split()), is_final)]

    def _media(self, packet: DuePacket) -> str:
        timestamp = packet.number * round(self.audio_format.packet_s * OPUS_CLOCK)
        media = {"tag": packet.track, "chunk": str(packet.number), "timestamp": str(timestamp)}
        media["payload"] = b64encode(packet.data).decode()
        return _event("media", media | ({} if packet.level is None else {"audioLevel": str(packet.level)}))


def _event(kind: str, body: dict[str, Any]) -> str:
    return msgspec.json.encode({"event": kind, "sequenceNumber": "0", kind: body}).decode()
