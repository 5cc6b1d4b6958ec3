"""Gladia's live transcription, `/v2/live`: a POST gives the address; then base64 of raw PCM in JSON, JSON back."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from bench.load.clips import AudioFormat
from bench.measure.events import Done, Observation, Seen, SeenWord, SpeechTurn, Trouble
from bench.protocols.dialect import DuePacket, Payload, with_route

__all__ = ["GladiaDialect"]


class GladiaDialect:
    """See `Dialect`. First POST `request` to `asks`, and say the answer to `expected`: only then there is a `url`.

    Partial transcripts are tentative; a final one closes its utterance.
    """

    padding: bytes | None = None
    lingers_s = 0.0

    def __init__(self, url: str, key: str | None, tracks: Sequence[str], language: str) -> None:
        self.url = ""
        self.asks = with_route(url, "/v2/live").replace("ws", "http", 1)
        self.headers: Mapping[str, str] = {"X-Gladia-Key": key} if key else {}
        self.subprotocols: Sequence[str] = ()
        self.audio_format = AudioFormat("pcm_s16le", 16_000)
        self._language = language
        (self._track,) = tracks

    def request(self) -> bytes:
        asked = {
            "sample_rate": self.audio_format.sample_rate,
            "language_config": {"languages": [self._language]},
            "messages_config": {"receive_partial_transcripts": True, "receive_acknowledgments": False},
        }
        return msgspec.json.encode(asked)

    def expected(self, answer: Mapping[str, Any]) -> None:
        self.url = answer["url"]

    def opening(self) -> list[Payload]:
        return []

    def audio(self, packets: Sequence[DuePacket]) -> list[Payload]:
        return [_json("audio_chunk", {"data": {"chunk": b64encode(packet.data).decode()}}) for packet in packets]

    def finishing(self, track: str) -> list[Payload]:
        del track
        return [_json("stop_recording", {})]

    def receive(self, payload: Payload, at: float) -> list[Observation]:
        try:
            message = msgspec.json.decode(payload, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise ValueError(str(error)) from None
        match message["type"]:
            case "transcript":
                return [self._seen(message["data"], at)]
            case "speech_start" | "speech_end" as kind:
                return [SpeechTurn(self._track, at, kind == "speech_start", message["data"]["time"])]
            case "post_final_transcript":
                return [Done(self._track, at)]
            case "error":
                return [Trouble(self._track, at, str(message["data"]["message"]))]
        return []

    def _seen(self, transcript: Mapping[str, Any], at: float) -> Seen:
        utterance = transcript["utterance"]
        if not transcript["is_final"]:
            return Seen(self._track, at, transcript["id"], (), tuple(utterance["text"].split()), False)
        words = tuple(SeenWord(word["word"], word["start"], word["end"]) for word in utterance["words"])
        return Seen(self._track, at, transcript["id"], words, (), True)


def _json(kind: str, more: Mapping[str, Any]) -> str:
    return msgspec.json.encode({"type": kind, **more}).decode()
