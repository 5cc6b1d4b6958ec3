"""Kyutai's `/api/asr-streaming`, of any moshi-server and of ours: one track a connection, MessagePack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from bench.load.clips import AudioFormat
from bench.measure.events import Done, Observation, Seen, SeenWord, Trouble
from bench.protocols.dialect import DuePacket, Payload, with_route
from captions.types import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE

__all__ = ["KyutaiDialect"]

_MARKER = 1
_FORMAT = AudioFormat("pcm_f32le", SAMPLE_RATE, FRAME_S)


class KyutaiDialect:
    """See `Dialect`. A word is committed and closed as it comes; its end comes later, in an EndWord."""

    padding: bytes | None = bytes(FRAME_SAMPLES * 4)
    lingers_s = 0.0

    def __init__(self, url: str, key: str | None, tracks: Sequence[str]) -> None:
        self.url = with_route(url, "/api/asr-streaming")
        self.headers: Mapping[str, str] = {"kyutai-api-key": key or "public_token"}
        self.subprotocols: Sequence[str] = ()
        self.audio_format = _FORMAT
        (self._track,) = tracks
        self._words = 0
        self._open: SeenWord | None = None

    def opening(self) -> list[Payload]:
        return []

    def audio(self, packets: Sequence[DuePacket]) -> list[Payload]:
        return [_audio(packet.data) for packet in packets]

    def finishing(self, track: str) -> list[Payload]:
        del track
        return [msgspec.msgpack.encode({"type": "Marker", "id": _MARKER})]

    def receive(self, payload: Payload, at: float) -> list[Observation]:
        try:
            message = msgspec.msgpack.decode(payload if isinstance(payload, bytes) else payload.encode(), type=dict)
        except msgspec.DecodeError as error:
            raise ValueError(str(error)) from None
        match message:
            case {"type": "Word", "text": text, "start_time": start}:
                self._words += 1
                self._open = SeenWord(text, start)
                return [self._seen(self._open, at)]
            case {"type": "EndWord", "stop_time": stop} if self._open is not None:
                return [self._seen(SeenWord(self._open.text, self._open.start, stop), at)]
            case {"type": "Marker"}:
                return [Done(self._track, at)]
            case {"type": "Error", "message": text}:
                return [Trouble(self._track, at, text)]
        return []

    def _seen(self, word: SeenWord, at: float) -> Seen:
        return Seen(self._track, at, str(self._words), (word,), (), final=True)


def _audio(data: bytes) -> Payload:
    """An array of single-precision floats, as Kyutai's own clients pack it: 0xca and four bytes, big-endian, each."""
    pcm = np.frombuffer(data, "<f4")
    packed = np.empty(len(pcm), [("tag", "u1"), ("value", ">f4")])
    packed["tag"] = 0xCA
    packed["value"] = pcm
    head = b"\x82\xa4type\xa5Audio\xa3pcm\xdc" + len(pcm).to_bytes(2, "big")
    return head + packed.tobytes()
