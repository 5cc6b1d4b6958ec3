"""What was said in a room, kept for those who ask for it afterwards: in memory, bounded, on one clock."""

from __future__ import annotations

from collections import deque

import msgspec

from captions.stream.captions import Latency, Segment

__all__ = ["Transcript"]

_MOST_TRACKS = 1_000
_decoder = msgspec.json.Decoder(Segment)


class Transcript:
    """`add` every revision as it comes; `segments` are the newest `limit` final ones.

    Each track has a clock of its own, which began with its first audio. Where that lies on the server's clock is read
    off every word's latency, so that what several tracks said comes out in the order it was said.
    """

    def __init__(self, limit: int) -> None:
        self._kept: deque[tuple[float, str]] = deque(maxlen=limit)
        self._zeros: dict[str, float] = {}
        self._origin: float | None = None

    def add(self, segment: Segment, payload: str, now: float) -> None:
        """A revision published at `now`, on the server's clock in seconds; `payload` is its JSON, kept as it is."""
        if not segment.words or not self._kept.maxlen:
            return
        zero = self._zero(segment, now)
        if self._origin is None:
            self._origin = zero + segment.start
        if segment.final:
            self._kept.append((zero, payload))

    def segments(self) -> list[Segment]:
        """Oldest first, in seconds since the first word said in the room. One that cannot be read is left out."""
        origin = self._origin or 0.0
        segments = [_shifted(segment, zero - origin) for zero, kept in self._kept for segment in _read(kept)]
        return sorted(segments, key=lambda segment: segment.start)

    def _zero(self, segment: Segment, now: float) -> float:
        """When the track's clock stood at 0; a publisher who comes back under the same name starts a new one."""
        latency_ms = segment.latency.word_latency
        if latency_ms is not None:
            self._zeros.pop(segment.track, None)
            self._zeros[segment.track] = now - latency_ms / 1_000 - segment.words[-1].end
            if len(self._zeros) > _MOST_TRACKS:
                del self._zeros[next(iter(self._zeros))]
        return self._zeros.get(segment.track, now - segment.end)


def _read(payload: str) -> list[Segment]:
    """The segment, or nothing: one that breaks a rule of today must not cost a room all the others."""
    try:
        return [_decoder.decode(payload)]
    except msgspec.ValidationError:
        return []


def _shifted(segment: Segment, by_s: float) -> Segment:
    def moved(time_s: float) -> float:
        return max(0.0, round(time_s + by_s, 3))

    words = [msgspec.structs.replace(word, start=moved(word.start), end=moved(word.end)) for word in segment.words]
    return msgspec.structs.replace(
        segment, start=moved(segment.start), end=moved(segment.end), words=words, latency=Latency()
    )
