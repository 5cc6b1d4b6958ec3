"""A WebRTC participant without a browser (aiortc), who speaks what they are given, in real time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction

import aioice.ice
import av
import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription

from bench.measure.events import SentAudio
from bench.sfu.host import ADDRESS
from bench.sfu.janus import Publisher
from captions.types import Pcm

__all__ = ["speaking"]

_RATE = 48_000
_PACKET_SAMPLES = _RATE // 50
_CONNECTED_WITHIN_S = 20.0


class _Voice(MediaStreamTrack):
    """Speech, then silence for good. `said`: when each part of it was handed on, in seconds since 1970."""

    kind = "audio"

    def __init__(self, pcm: Pcm) -> None:
        super().__init__()
        self._samples = (pcm * 32_767).astype("<i2")
        self._at = 0
        self._began_at: float | None = None
        self.said = SentAudio()

    async def recv(self) -> av.AudioFrame:
        now = time.monotonic()
        self._began_at = now if self._began_at is None else self._began_at
        await asyncio.sleep(max(0.0, self._began_at + self._at / _RATE - now))
        block = self._samples[self._at : self._at + _PACKET_SAMPLES]
        block = np.pad(block, (0, _PACKET_SAMPLES - len(block)))
        frame = av.AudioFrame.from_ndarray(block.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = _RATE, self._at, Fraction(1, _RATE)
        self._at += _PACKET_SAMPLES
        self.said.add(self._at / _RATE, time.time())
        return frame


@asynccontextmanager
async def speaking(publisher: Publisher, name: str, pcm: Pcm) -> AsyncIterator[SentAudio]:
    """In the room, under a name, from the beginning of the block to its end. `pcm`: mono at 48 kHz.

    Yields when each part of it was said, which is filled in as time goes: seconds since 1970.
    """
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [ADDRESS]  # noqa: ARG005
    connection = RTCPeerConnection()
    voice = _Voice(pcm)
    connection.addTrack(voice)
    connected = asyncio.Event()

    @connection.on("connectionstatechange")
    def _changed() -> None:
        if connection.connectionState == "connected":
            connected.set()

    try:
        await publisher.join(name)
        await connection.setLocalDescription(await connection.createOffer())
        answer = await publisher.publish(connection.localDescription.sdp)
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await asyncio.wait_for(connected.wait(), _CONNECTED_WITHIN_S)
        yield voice.said
    finally:
        await connection.close()
