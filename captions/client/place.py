"""Where a track is, and what its next node has to be told besides its audio."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf

from captions.client.link import Link
from captions.client.sent_track import KeptAudio, SentTrack
from captions.doors.native.messages import Audio, ClientMessage, FlushRequest, Mute, Stop, Unmute

__all__ = ["Place"]


@dataclass(slots=True, eq=False)
class Place:
    """`link`: where the track is, or was last while it is `away`, which is to say that nobody hears it.

    `offset_s`: how far the node's clock is behind the client's. `answered`: that node had it; `started`: its user was
    told so once. `lost`: by how many nodes in a row, without a word in between; it came to the last one at `moved_at`.
    While it is away: `moving` to the node that was `named`, not before `not_before`, nor long after `until`, all on the
    loop's clock. `unended`: its last node may still have it; `waits_for_end`: until it has been ended there.
    Whoever sends of it holds the `lock`; `back` is set while it is not away.
    """

    track: SentTrack
    link: Link
    offset_s: float = 0.0
    away: bool = False
    answered: bool = False
    started: bool = False
    stopped: bool = False
    muted: bool = False
    flushes: list[tuple[float, FlushRequest]] = field(default_factory=list)
    lost: int = 0
    refusals: int = 0
    moved_at: float = -inf
    moving: bool = False
    named: str = ""
    not_before: float = -inf
    until: float | None = None
    unended: bool = False
    waits_for_end: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    back: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        return self.track.start.track

    def answer(self) -> bool:
        """Its node has taken it. Whether that is to be told."""
        self.answered, self.refusals, self.until = True, 0, None
        was_started, self.started = self.started, True
        return not was_started

    def note(self, message: ClientMessage) -> None:
        """What its user sends of it. Of a muted track no audio is kept: nobody is to hear it later."""
        match message:
            case Audio() if not self.muted:
                self.track.keep(message)
            case Mute():
                self.muted = True
            case Unmute():
                self.muted = False
            case FlushRequest():
                self.flushes.append((self.track.sent_to, message))
            case Stop():
                self.stopped = True

    def flushed(self, flush_id: str) -> None:
        """A flush was answered."""
        answered = next((owed for owed in self.flushes if owed[1].id == flush_id), None)
        if answered is not None:
            self.flushes.remove(answered)

    def messages(self, rest: list[KeptAudio]) -> Iterator[ClientMessage]:
        """All that the next node has to be told; each flush behind the audio that it was asked for behind."""
        owed = deque(self.flushes)
        yield self.track.start
        for at, audio in rest:
            while owed and owed[0][0] <= at:
                yield owed.popleft()[1]
            yield audio
        yield from (flush for _, flush in owed)
        if self.muted:
            yield Mute(self.name)
        if self.stopped:
            yield Stop(self.name)
