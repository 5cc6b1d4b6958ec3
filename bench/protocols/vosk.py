"""vosk-server's WebSocket: one track a connection, raw PCM in, JSON back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from bench.load.clips import AudioFormat
from bench.measure.events import Done, Observation, Seen, SeenWord
from bench.protocols.dialect import DuePacket, Payload, with_route

__all__ = ["VoskDialect"]


class VoskDialect:
    """See `Dialect`. A `partial` is tentative; a `text` closes the unit; the one after `eof` is the last."""

    padding: bytes | None = None
    lingers_s = 0.0

    def __init__(self, url: str, key: str | None, tracks: Sequence[str]) -> None:
        self.url = with_route(url, "/v1/vosk")
        self.headers: Mapping[str, str] = {"Authorization": f"Bearer {key}"} if key else {}
        self.subprotocols: Sequence[str] = ()
        self.audio_format = AudioFormat("pcm_s16le", 16_000)
        (self._track,) = tracks
        self._unit = 0
        self._finishing = False

    def opening(self) -> list[Payload]:
        settings = {"sample_rate": self.audio_format.sample_rate, "words": True}
        return [msgspec.json.encode({"config": settings}).decode()]

    def audio(self, packets: Sequence[DuePacket]) -> list[Payload]:
        return [packet.data for packet in packets]

    def finishing(self, track: str) -> list[Payload]:
        del track
        self._finishing = True
        return ['{"eof" : 1}']

    def receive(self, payload: Payload, at: float) -> list[Observation]:
        try:
            message = msgspec.json.decode(payload, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise ValueError(str(error)) from None
        if "partial" in message:
            return [self._seen((), tuple(message["partial"].split()), at, final=False)]
        if "text" not in message:
            return []
        words = [SeenWord(word["word"], word["start"], word["end"]) for word in message.get("result", [])]
        words = words or [SeenWord(word) for word in message["text"].split()]
        seen = self._seen(tuple(words), (), at, final=True)
        self._unit += 1
        return [seen, Done(self._track, at)] if self._finishing else [seen]

    def _seen(self, committed: tuple[SeenWord, ...], tentative: tuple[str, ...], at: float, *, final: bool) -> Seen:
        return Seen(self._track, at, str(self._unit), committed, tentative, final)
