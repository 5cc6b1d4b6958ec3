"""What was said in a room, kept for those who ask for it afterwards: in memory, bounded, on one clock."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterator
from itertools import islice

import msgspec

from captions.stream.captions import Caption, CaptionWord, Latency, Segment

__all__ = ["Transcript"]

_PACK = 64
"""So many captions are packed at a time: they then take a quarter of the room, and packing them a millisecond."""
_decoder: msgspec.json.Decoder[Caption] = msgspec.json.Decoder(Caption)


class Transcript:
    """`add` every revision as it comes; `captions` are the newest `limit` that are over, in the order they were said.

    Each track has a clock of its own, which began with its first audio. Captions carry when they were said on the
    server's clock, so that what several tracks said comes out in the order it was said.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._newest: dict[str, str] = {}
        self._packs: deque[bytes] = deque()
        self._count = 0
        self._origin_at = float("inf")

    @property
    def forgotten(self) -> int:
        """How many captions there were before those that are kept."""
        return max(0, self._count - self._limit)

    def copy(self) -> Transcript:
        """What is kept by now, to be read on another thread."""
        copied = Transcript(self._limit)
        copied._newest, copied._packs = self._newest.copy(), self._packs.copy()
        copied._count, copied._origin_at = self._count, self._origin_at
        return copied

    def add(self, caption: Caption, payload: str) -> None:
        """A revision; `payload` is its JSON."""
        if not self._limit or (isinstance(caption, Segment) and not caption.words):
            return
        self._origin_at = min(self._origin_at, caption.said_at)
        if isinstance(caption, Segment) and not caption.final:
            return
        self._count += caption.id not in self._newest
        self._newest[caption.id] = payload
        if len(self._newest) >= 2 * _PACK:
            self._pack()

    def captions(self, *, words: bool = True) -> list[Caption]:
        """Times are seconds since the first words in the room. A caption that cannot be read is left out.

        `words`: with the time of each; without, a long transcript is a third as long.
        """
        kept = {caption.id: caption for payload in self._payloads() for caption in _read(payload)}
        newest = list(kept.values())[-self._limit :] if self._limit else []
        moved = (_moved(caption, caption.said_at - self._origin_at - caption.start, words) for caption in newest)
        return sorted(moved, key=lambda caption: caption.said_at)

    def _pack(self) -> None:
        oldest = list(islice(self._newest, _PACK))
        self._packs.append(zlib.compress("\n".join(self._newest.pop(name) for name in oldest).encode(), 1))
        while len(self._packs) * _PACK >= self._limit:
            self._packs.popleft()

    def _payloads(self) -> Iterator[str]:
        """Oldest first; what grew after it was packed comes once more, as it is now."""
        for pack in self._packs:
            yield from zlib.decompress(pack).decode().split("\n")
        yield from self._newest.values()


def _read(payload: str) -> list[Caption]:
    """The caption, or nothing: one that breaks a rule of today must not cost a room all the others."""
    try:
        return [_decoder.decode(payload)]
    except msgspec.ValidationError:
        return []


def _moved(caption: Caption, by_s: float, with_words: bool) -> Caption:
    """A caption on the room's clock instead of its track's."""

    def moved(time_s: float) -> float:
        return max(0.0, round(time_s + by_s, 3))

    start, end = moved(caption.start), moved(caption.end)
    if not isinstance(caption, Segment):
        return msgspec.structs.replace(caption, start=start, end=end)
    kept = caption.words if with_words else []
    words = [CaptionWord(word.text, moved(word.start), moved(word.end)) for word in kept]
    return msgspec.structs.replace(caption, start=start, end=end, words=words, latency=Latency())
