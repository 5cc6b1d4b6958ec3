"""People who talk through one client, and all that comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from captions.client import Client
from captions.doors.native.messages import Participant, Segment, ServerMessage, Stopped
from captions.types import Pcm
from tests.server.harness import PATIENCE_S, pcm_f32le
from tests.speech import silence

__all__ = ["PAUSE", "Talk"]

PAUSE = silence(12)


class Talk:
    """`start`, `speak` at twice the speed of life, `stop`; `frame_s`: or at another one."""

    def __init__(self, client: Client, *tracks: str, frame_s: float = 0.04) -> None:
        self._client = client
        self._tracks = tracks or ("ada",)
        self._frame_s = frame_s
        self.said: list[ServerMessage] = []
        self._reading = asyncio.create_task(self._read())

    async def start(self) -> None:
        for track in self._tracks:
            await self._client.start("daily", track, "pcm_f32le", 24_000, participant=Participant(track))

    async def speak(self, frames: Iterable[Pcm], *tracks: str) -> None:
        for frame in frames:
            for track in tracks or self._tracks:
                await self._client.audio(track, pcm_f32le(frame))
            await asyncio.sleep(self._frame_s)

    async def stop(self) -> None:
        for track in self._tracks:
            await self._client.stop(track)
        async with asyncio.timeout(PATIENCE_S):
            await self._reading

    def words(self, track: str = "ada") -> list[str]:
        newest = {said.id: said for said in self.said if isinstance(said, Segment) and said.track == track}
        return [word.text for said in newest.values() for word in said.words]

    async def _read(self) -> None:
        owed = set(self._tracks)
        async for message in self._client:
            self.said.append(message)
            if isinstance(message, Stopped):
                owed.discard(message.track)
            if not owed:
                return
