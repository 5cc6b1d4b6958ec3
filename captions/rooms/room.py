"""One room: the newest revision of each recent segment, and who watches. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from captions.rooms.position import NOWHERE, Position
from captions.rooms.rooms import RoomCensus, Watcher
from captions.stream.captions import Caption, Segment

__all__ = ["Kept", "Room", "positioned", "read_kept"]

MOST_LIVE_SEGMENTS = 200


@dataclass(frozen=True, slots=True)
class Kept:
    """One revision of a caption as it is kept and sent: its JSON, and what of it rooms have to know.

    Of what is uncaptioned, which only grows, its end counts the revisions. `has_words`: a final revision without words
    withdraws a segment that had shown nothing but tentative text.
    `position`: None while the room's stream has not given it one.
    """

    id: str
    revision: int
    final: bool
    has_words: bool
    payload: str
    position: Position | None = None

    @classmethod
    def of(cls, caption: Caption, payload: str, position: Position | None = None) -> Kept:
        if isinstance(caption, Segment):
            return cls(caption.id, caption.revision, caption.final, bool(caption.words), payload, position)
        return cls(caption.id, round(caption.end * 1_000), True, True, payload, position)


class _SegmentHead(msgspec.Struct, tag_field="type", tag="segment"):
    """What `Kept` needs of a segment's JSON; the rest is not looked at."""

    id: str
    revision: int
    final: bool
    words: tuple[msgspec.Raw, ...]


class _UncaptionedHead(msgspec.Struct, tag_field="type", tag="uncaptioned"):
    id: str
    end: float


_heads: msgspec.json.Decoder[_SegmentHead | _UncaptionedHead] = msgspec.json.Decoder(_SegmentHead | _UncaptionedHead)


def read_kept(payload: bytes, position: Position | None) -> Kept | None:
    """A revision out of its JSON, None for what is none."""
    try:
        head = _heads.decode(payload)
        if isinstance(head, _SegmentHead):
            return Kept(head.id, head.revision, head.final, bool(head.words), payload.decode(), position)
        return Kept(head.id, round(head.end * 1_000), True, True, payload.decode(), position)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def positioned(payload: str, position: Position) -> str:
    """A message with how far its watcher has come with it."""
    return f'{payload[:-1]},"position":"{position}"}}'


class Room:
    """`final`: the newest final segments; `live`: the newest revision of each open one; both by id, oldest first.

    `trimmed_to`: where the newest of those final segments stood that are kept no longer. `spoken_in`: somebody of this
    node published to it, so that there is something to remember.
    """

    def __init__(self, history: int) -> None:
        self._history = history
        self.final: OrderedDict[str, Kept] = OrderedDict()
        self.live: OrderedDict[str, Kept] = OrderedDict()
        self.watchers: set[Watcher] = set()
        self.position = NOWHERE
        self.trimmed_to = NOWHERE
        self.touched_at = 0.0
        self.spoken_in = False

    def add(self, kept: Kept) -> bool:
        """Remember a revision, unless it or a later one of its segment is known. Whether it was news.

        Words of a segment only grow, so a revision that comes late or twice is passed over without loss.
        """
        is_news = self._put(kept)
        self._trim()
        return is_news

    def rebuild(self, history: Iterable[Kept]) -> list[Kept]:
        """From revisions that were said elsewhere too, and what is known here; returns what was not known before.

        Ids sort by time, so that what several nodes said comes out in the order in which it began.
        """
        final, live = self.final, self.live
        self.final, self.live = OrderedDict(), OrderedDict()
        for kept in (*history, *final.values(), *live.values()):
            self._put(kept)
        self.final = OrderedDict(sorted(self.final.items()))
        self._trim()
        before = {(kept.id, kept.revision) for kept in (*final.values(), *live.values())}
        return [kept for kept in (*self.final.values(), *self.live.values()) if (kept.id, kept.revision) not in before]

    def history(self) -> list[str]:
        """What a late watcher is shown; the last of it says how far that is."""
        payloads = [kept.payload for kept in (*self.final.values(), *self.live.values())]
        if payloads:
            payloads[-1] = positioned(payloads[-1], self.position)
        return payloads

    def census(self, name: str, now: float) -> RoomCensus:
        return RoomCensus(name, len(self.watchers), len(self.live), round(now - self.touched_at, 1))

    def tell(self, payload: str, of: str | None = None) -> None:
        """To everybody who watches; `of` as a `Watcher` has it."""
        for watcher in tuple(self.watchers):
            watcher.send(payload, of)

    def _put(self, kept: Kept) -> bool:
        known = self.final.get(kept.id) or self.live.get(kept.id)
        if known is not None and (known.revision >= kept.revision or (known.final and not kept.final)):
            if known.position is None and known.revision == kept.revision:
                (self.final if known.final else self.live)[kept.id] = kept
            return False
        if not kept.final:
            self.live[kept.id] = kept
            return True
        self.live.pop(kept.id, None)
        if kept.has_words:
            self.final[kept.id] = kept
        return True

    def _trim(self) -> None:
        while len(self.live) > MOST_LIVE_SEGMENTS:
            self.live.popitem(last=False)
        while len(self.final) > self._history:
            _, gone = self.final.popitem(last=False)
            self.trimmed_to = max(self.trimmed_to, gone.position or NOWHERE)
