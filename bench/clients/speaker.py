"""A clip spoken in real time to a client of somebody else's, and the log of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

from bench.load.clips import AudioFormat, Clip, packets_of
from bench.measure.events import Seen, SeenWord, TrackLog

__all__ = ["Speaker"]

_QUIET_S = 1.0
"""Of silence after the clip, as a microphone would send it: clients that detect turns need it."""


class Speaker:
    """Iterate over `packets` and hand each to the client at once; tell what it says by `saw`."""

    def __init__(self, clip: Clip, sample_rate: int) -> None:
        self.log = TrackLog("track")
        self._format = AudioFormat("pcm_s16le", sample_rate)
        self._packets = packets_of(clip.pcm, self._format)
        self._unit = 0

    async def packets(self) -> AsyncIterator[bytes]:
        """20 ms of 16-bit PCM each, when they are due."""
        packet_s = self._format.packet_s
        quiet = [bytes(2 * self._format.packet_samples)] * round(_QUIET_S / packet_s)
        began_at = time.monotonic()
        for number, packet in enumerate([*self._packets, *quiet]):
            await asyncio.sleep(began_at + number * packet_s - time.monotonic())
            self.log.sent.add((number + 1) * packet_s, time.monotonic())
            yield packet
        self.log.finished_at = time.monotonic()

    def saw(self, committed: Sequence[SeenWord], tentative: str = "", *, final: bool = False) -> None:
        """The open caption, as it looks now; `final` closes it."""
        seen = Seen("track", time.monotonic(), str(self._unit), tuple(committed), tuple(tentative.split()), final)
        self.log.add(seen)
        self._unit += final
