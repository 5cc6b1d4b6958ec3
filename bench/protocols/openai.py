"""OpenAI's realtime transcription, `/v1/realtime`: one track a connection, base64 of raw PCM in JSON, JSON back."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from bench.load.clips import AudioFormat
from bench.measure.events import Done, Observation, Seen, SeenWord, SpeechTurn, Trouble
from bench.protocols.dialect import DuePacket, Payload, with_route
from captions.types import SAMPLE_RATE

__all__ = ["OpenAIDialect"]

_BUFFER = "input_audio_buffer"


class OpenAIDialect:
    """See `Dialect`. Deltas only append, so that their words are committed; a completed item is closed."""

    padding: bytes | None = None
    lingers_s = 0.0

    def __init__(self, url: str, key: str | None, tracks: Sequence[str], language: str) -> None:
        self.url = with_route(url, "/v1/realtime?intent=transcription")
        self.headers: Mapping[str, str] = {"Authorization": f"Bearer {key}"} if key else {}
        self.subprotocols: Sequence[str] = ()
        self.audio_format = AudioFormat("pcm_s16le", SAMPLE_RATE)
        self._language = language
        (self._track,) = tracks
        self._text: dict[str, str] = {}
        self._finishing = False

    def opening(self) -> list[Payload]:
        heard = {"transcription": {"model": "any", "language": self._language}}
        session = {"type": "transcription", "audio": {"input": heard}}
        return [_json({"type": "session.update", "session": session})]

    def audio(self, packets: Sequence[DuePacket]) -> list[Payload]:
        return [_json({"type": f"{_BUFFER}.append", "audio": b64encode(packet.data).decode()}) for packet in packets]

    def finishing(self, track: str) -> list[Payload]:
        """What is left becomes a last turn, whose end is the track's."""
        del track
        self._finishing = True
        return [_json({"type": f"{_BUFFER}.commit"})]

    def receive(self, payload: Payload, at: float) -> list[Observation]:
        try:
            event = msgspec.json.decode(payload, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise ValueError(str(error)) from None
        match event["type"].rpartition(".")[2]:
            case "speech_started":
                return [SpeechTurn(self._track, at, True, event["audio_start_ms"] / 1_000)]
            case "speech_stopped":
                return [SpeechTurn(self._track, at, False, event["audio_end_ms"] / 1_000)]
            case "delta":
                text = self._text[event["item_id"]] = self._text.get(event["item_id"], "") + event["delta"]
                return [self._seen(event["item_id"], text, at, final=False)]
            case "completed":
                self._text.pop(event["item_id"], None)
                seen = self._seen(event["item_id"], event["transcript"], at, final=True)
                return [seen, Done(self._track, at)] if self._finishing and not self._text else [seen]
            case "error" if self._finishing:
                return [Done(self._track, at)]
            case "error":
                return [Trouble(self._track, at, str(event["error"]["message"]))]
        return []

    def _seen(self, item: str, text: str, at: float, *, final: bool) -> Seen:
        return Seen(self._track, at, item, tuple(SeenWord(word) for word in text.split()), (), final)


def _json(event: dict[str, Any]) -> str:
    return msgspec.json.encode(event).decode()
