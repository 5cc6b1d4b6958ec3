"""Deepgram's `/v1/listen`, and those who copied it: one track a connection, raw PCM in, JSON back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec

from bench.load.clips import AudioFormat
from bench.measure.events import Done, Observation, Seen, SeenWord, SpeechTurn, Trouble
from bench.protocols.dialect import DuePacket, Payload, with_route

__all__ = ["DeepgramDialect"]


class DeepgramDialect:
    """See `Dialect`. Interim results are tentative; `is_final` commits and closes the unit."""

    padding: bytes | None = None
    lingers_s = 0.0

    def __init__(self, url: str, key: str | None, tracks: Sequence[str], language: str) -> None:
        self.audio_format = AudioFormat("pcm_s16le", 16_000)
        query = urlencode(
            {
                "encoding": "linear16",
                "sample_rate": self.audio_format.sample_rate,
                "channels": 1,
                "language": language,
                "interim_results": "true",
                "vad_events": "true",
                "punctuate": "true",
            }
        )
        self.url = with_route(url, f"/v1/listen?{query}")
        self.headers: Mapping[str, str] = {"Authorization": f"Token {key}"} if key else {}
        self.subprotocols: Sequence[str] = ()
        (self._track,) = tracks
        self._unit = 0
        self._finishing = False

    def opening(self) -> list[Payload]:
        return []

    def audio(self, packets: Sequence[DuePacket]) -> list[Payload]:
        return [packet.data for packet in packets]

    def finishing(self, track: str) -> list[Payload]:
        del track
        self._finishing = True
        return ['{"type": "CloseStream"}']

    def receive(self, payload: Payload, at: float) -> list[Observation]:
        try:
            message = msgspec.json.decode(payload, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise ValueError(str(error)) from None
        match message:
            case {"type": "Results", "channel": {"alternatives": [best, *_]}, "is_final": is_final}:
                return self._results(best, bool(is_final), at)
            case {"type": "SpeechStarted", "timestamp": position}:
                return [SpeechTurn(self._track, at, True, position)]
            case {"type": "Metadata"} if self._finishing:
                return [Done(self._track, at)]
            case {"type": "Error"}:
                return [Trouble(self._track, at, str(message.get("description", "error")))]
        return []

    def _results(self, best: dict[str, Any], is_final: bool, at: float) -> list[Observation]:
        if not is_final:
            return [Seen(self._track, at, str(self._unit), (), tuple(best["transcript"].split()), final=False)]
        words = tuple(
            SeenWord(word.get("punctuated_word", word["word"]), word["start"], word["end"])
            for word in best.get("words", [])
        ) or tuple(SeenWord(word) for word in best["transcript"].split())
        seen = Seen(self._track, at, str(self._unit), words, (), final=True)
        self._unit += 1
        return [seen]
