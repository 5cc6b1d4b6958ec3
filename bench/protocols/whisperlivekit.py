"""WhisperLiveKit's `/asr`, started with `--pcm-input`: one track a connection, raw PCM in, the whole transcript back.

Each message repeats all `lines`; a line's text is committed, what follows the last line is in `buffer_transcription`. A
line is closed when another line follows it, if only one of silence. There are no word times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from bench.load.clips import AudioFormat
from bench.measure.events import Done, Observation, Seen, SeenWord, Trouble
from bench.protocols.dialect import DuePacket, Payload, with_route

__all__ = ["WhisperLiveKitDialect"]

_SILENCE = -2


class WhisperLiveKitDialect:
    """See `Dialect`."""

    padding: bytes | None = None
    lingers_s = 0.0

    def __init__(self, url: str, key: str | None, tracks: Sequence[str], language: str) -> None:
        self.url = with_route(url, f"/asr?language={language}")
        self.headers: Mapping[str, str] = {"Authorization": f"Bearer {key}"} if key else {}
        self.subprotocols: Sequence[str] = ()
        self.audio_format = AudioFormat("pcm_s16le", 16_000)
        (self._track,) = tracks
        self._shown: dict[str, Seen] = {}

    def opening(self) -> list[Payload]:
        return []

    def audio(self, packets: Sequence[DuePacket]) -> list[Payload]:
        return [packet.data for packet in packets]

    def finishing(self, track: str) -> list[Payload]:
        del track
        return [b""]

    def receive(self, payload: Payload, at: float) -> list[Observation]:
        try:
            message = msgspec.json.decode(payload, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise ValueError(str(error)) from None
        if message.get("type") == "ready_to_stop":
            closed = [replace(seen, at=at, tentative=(), final=True) for seen in self._shown.values() if not seen.final]
            return [*closed, Done(self._track, at)]
        if message.get("error"):
            return [Trouble(self._track, at, str(message["error"]))]
        if "lines" not in message:
            return []
        now = self._units(message, at)
        gone = [
            replace(seen, at=at, committed=(), tentative=())
            for unit, seen in self._shown.items()
            if unit not in now and (seen.committed or seen.tentative)
        ]
        changed = [seen for unit, seen in now.items() if self._differs(seen, self._shown.get(unit))]
        self._shown |= {seen.unit: seen for seen in (*gone, *changed)}
        return [*gone, *changed]

    def _units(self, message: dict[str, Any], at: float) -> dict[str, Seen]:
        lines = message["lines"]
        units: dict[str, Seen] = {}
        for place, line in enumerate(lines):
            if line.get("speaker") == _SILENCE or not line.get("text"):
                continue
            words = tuple(SeenWord(word) for word in line["text"].split())
            units[str(len(units))] = Seen(self._track, at, str(len(units)), words, (), final=place + 1 < len(lines))
        guess = tuple(f"{message.get('buffer_diarization', '')} {message.get('buffer_transcription', '')}".split())
        if guess:
            last = units.get(str(len(units) - 1))
            if last is None or last.final:
                last = Seen(self._track, at, str(len(units)), (), (), final=False)
            units[last.unit] = replace(last, tentative=guess)
        return units

    @staticmethod
    def _differs(now: Seen, before: Seen | None) -> bool:
        return before is None or replace(before, at=now.at) != now
