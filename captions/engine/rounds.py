"""Whose audio is taken in next, in rounds of one frame a track.

- A track's frame is due 80 ms behind the frame before it, or when it arrives, if that is later. What is due goes before
  what came faster than it was spoken.
- A track that drops nothing and is ahead of its time by `FILE_AHEAD_S` is a file, and goes behind all others, here and
  for lanes, until it is no longer. So who speaks is live, by whichever door, and a file is one even if it is not said.
- Within each of these connections take turns, within a connection its rooms, and within a room its tracks.
- What a track that drops audio has had waiting for longer than `most_pending_s` is dropped and told as a gap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from captions.engine.fairness import in_turns
from captions.engine.listened_track import ListenedTrack
from captions.engine.orders import RankTrack, Turn
from captions.engine.spurts import Spurts
from captions.stream.chunk_cutter import Chunk
from captions.types import FRAME_S

__all__ = ["FILE_AHEAD_S", "GATHER_S", "ROUND_TRACKS", "Rounds"]

FILE_AHEAD_S = 2.0
"""So far ahead of its time nobody is who speaks: clients gather a second at most."""

GATHER_S = 0.1
"""So long packets wait at most for the rest of their frame: it is there before that if not much is lost or late."""

ROUND_TRACKS = 64
"""The most tracks of one round: the detector gains little from more at once, and a round cannot be cut short."""


class Rounds:
    """`add` a track that has something to take in, or `gather` the packets of its frame, and `hear` in each turn;
    `finish_frame` where its audio ends.

    `taken`: what it is to be told once all of a track was taken in, of which something waits behind its audio. The
    detector runs once a round for many tracks, so a spurt's start stands near the frames around it.
    """

    def __init__(
        self,
        spurts: Spurts,
        clock: Callable[[], float],
        taken: Callable[[ListenedTrack, Turn], None],
        most_pending_s: float,
    ) -> None:
        self._spurts = spurts
        self._clock = clock
        self._taken = taken
        self._most_pending_s = most_pending_s
        self._sounding: dict[int, ListenedTrack] = {}
        self._gathering: dict[int, tuple[ListenedTrack, float]] = {}

    def __len__(self) -> int:
        return len(self._sounding)

    def __contains__(self, track: object) -> bool:
        """Something of a track is to be taken in."""
        return track in self._sounding

    @property
    def pending_bytes(self) -> int:
        """Of what is to be taken in."""
        return sum(track.ear.pending_bytes for track in self._sounding.values())

    def late_since(self, now: float) -> float:
        """When what has waited longest was due; infinity if nothing is.

        What came ahead of its time, as of a file or in a burst, is late from the time it was due.
        """
        due = (max(track.due_at, track.ear.waits_since) for track in self._sounding.values() if track.due_at <= now)
        return min(due, default=math.inf)

    @property
    def gathers(self) -> bool:
        """Some packets wait for the rest of their frame."""
        return bool(self._gathering)

    def add(self, track: ListenedTrack) -> None:
        self._sounding[track.id] = track
        self._gathering.pop(track.id, None)

    def gather(self, track: ListenedTrack, since: float) -> None:
        """A track's packets wait for the rest of their frame, as it costs less to take in four than one four times."""
        if track.id not in self._sounding:
            self._gathering.setdefault(track.id, (track, since))

    def forget(self, track: ListenedTrack) -> None:
        self._sounding.pop(track.id, None)
        self._gathering.pop(track.id, None)

    def hear(self, until: float, turn: Turn) -> None:
        """Drop what is stale of what an earlier turn has left, and take in what there is; not beyond `until`."""
        now = self._clock()
        stale_before = now - self._most_pending_s
        for track in self._sounding.values():
            if track.opened.drops:
                track.ear.drop_before(stale_before)
        for track in [track for track, since in self._gathering.values() if since <= now - GATHER_S]:
            self.add(track)
        while self._sounding:
            tracks = self._next_to_hear(self._clock())
            for at in range(0, len(tracks), ROUND_TRACKS):
                for track in self._hear_round(tracks[at : at + ROUND_TRACKS], turn):
                    self._taken(track, turn)
                if self._clock() >= until:
                    return

    def hear_all(self, track: ListenedTrack, turn: Turn) -> None:
        """Take in the little that waits for lost packets or for the rest of a frame, however long it takes."""
        self.add(track)
        while track.id in self._sounding:
            self._hear_round([track], turn)

    def finish_frame(self, track: ListenedTrack, turn: Turn) -> None:
        """A track's audio ends here, with a frame that is filled up with silence."""
        if track.ear.gathering:
            self.hear_all(track, turn)
        taking = track.ear.finish(self._clock())
        track.tell(taking, turn)
        self._spurts.detect([(track, taking.chunks)], turn)

    def _next_to_hear(self, now: float) -> list[ListenedTrack]:
        """Of whom a frame is to be taken in now, in order; a frame that comes a little early is due."""
        sounding = self._sounding.values()
        tracks = [track for track in sounding if not track.is_file and track.due_at <= now + FRAME_S]
        tracks = tracks or [track for track in sounding if not track.is_file] or list(sounding)
        if len(tracks) <= ROUND_TRACKS:
            return tracks
        return in_turns(tracks, lambda track: track.opened.source, lambda track: track.opened.room)

    def _hear_round(self, tracks: Sequence[ListenedTrack], turn: Turn) -> list[ListenedTrack]:
        """Take in a frame of each, and have the detector hear all of them. Who has more goes behind the others.

        Returns those of whom all was taken in and something is to be told behind it.
        """
        chunks: list[tuple[ListenedTrack, tuple[Chunk, ...]]] = []
        done: list[ListenedTrack] = []
        for track in tracks:
            taking = track.ear.take(speaking=track.gate.speaking)
            track.tell(taking, turn)
            if taking.chunks:
                chunks.append((track, taking.chunks))
            if taking.frame is not None:
                track.due_at = max(track.due_at, track.ear.newest.arrived_at) + FRAME_S
                if not track.opened.drops:
                    _rank(track, turn)
            del self._sounding[track.id]
            if taking.more:
                self.add(track)
            elif track.later:
                done.append(track)
        self._spurts.detect(chunks, turn)
        return done


def _rank(track: ListenedTrack, turn: Turn) -> None:
    is_file = track.due_at - track.ear.newest.arrived_at > FILE_AHEAD_S
    if is_file is not track.is_file:
        track.is_file = is_file
        turn.orders.append(RankTrack(track.id, live=not is_file))
