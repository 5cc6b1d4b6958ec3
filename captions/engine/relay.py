"""What a front remembers of its tracks' dealings with the model, so that a new model goes on where the old one died.

Pure: orders and results pass through, and what is to be done at a loss is returned. The rules:

- Audio of a track that does not speak and is owed nothing stays here, as the pre-roll of its next speech: silence is
  sent to nobody.
- While there is no model, what is told of a track is kept for the next one, of a track that drops audio at most
  `most_frames` of it: the oldest is dropped and told as a gap.
- Speech that the model had and did not answer before it died is told as a gap, from the end of the last word on; the
  flushes it owed are answered.
- A new model is told of every track, and that those which spoke still do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from captions.engine.orders import (
    CloseTrack,
    EndSpeech,
    FlushTrack,
    OpenTrack,
    Order,
    PushFrame,
    RankTrack,
    StartSpeech,
)
from captions.types import SAMPLE_RATE, Flushed, Gap, Progress, Tentative, TrackEvent, Word, WordEnd

__all__ = ["Relay"]


@dataclass(slots=True)
class _RelayedTrack:
    """`sent_speaking`: the model that is, or was, knows that the track speaks. `owed`: flushes without an answer yet.

    `unsaid_from`: the media position behind which speech was sent that no word answers; `spurt_from`: of the spurt
    that is under way. `kept`: what the next model is to be told, while there is none, with so many `kept_frames`.
    """

    opened: OpenTrack
    preroll: deque[PushFrame]
    rank: RankTrack | None = None
    speaking: bool = False
    sent_speaking: bool = False
    owed: deque[str | None] = field(default_factory=deque)
    pushed_to: int = 0
    spurt_from: int = 0
    unsaid_from: int = 0
    kept: deque[Order] = field(default_factory=deque)
    kept_frames: int = 0
    dropped: Gap | None = None

    @property
    def is_quiet(self) -> bool:
        return not self.speaking and not self.owed

    def drop_oldest(self) -> Gap | None:
        """Give up the frame that was kept longest. Returns a gap when a second of them has come together."""
        at, oldest = next((at, order) for at, order in enumerate(self.kept) if isinstance(order, PushFrame))
        del self.kept[at]
        self.kept_frames -= 1
        frame, before = oldest.frame, self.dropped
        if before is not None and before.end != frame.start:
            self.dropped = Gap(frame.start, frame.end, "overload")
            return before
        self.dropped = Gap(frame.start if before is None else before.start, frame.end, "overload")
        return self.take_dropped() if self.dropped.end - self.dropped.start >= SAMPLE_RATE else None

    def take_dropped(self) -> Gap | None:
        dropped, self.dropped = self.dropped, None
        return dropped


class Relay:
    """Pass orders through `forward` and send what it returns; pass events through `said`. `lost` and `found` a model.

    What `forward`, `lost` and `found` return beside orders are events of the front's own, to be delivered like those
    of the model.
    """

    def __init__(self, preroll_frames: int, most_frames: int) -> None:
        self._preroll_frames = preroll_frames
        self._most_frames = most_frames
        self._tracks: dict[int, _RelayedTrack] = {}
        self._has_model = False

    @property
    def tracks(self) -> int:
        return len(self._tracks)

    def forward(self, orders: Iterable[Order]) -> tuple[list[Order], list[tuple[int, TrackEvent]]]:
        """What the model is to be told now."""
        to_send: list[Order] = []
        events: list[tuple[int, TrackEvent]] = []
        for order in orders:
            number = order.track
            if isinstance(order, OpenTrack):
                self._tracks[number] = _RelayedTrack(order, deque(maxlen=self._preroll_frames))
                if self._has_model:
                    to_send.append(order)
                continue
            track = self._tracks.get(number)
            if track is None:
                continue
            if isinstance(order, PushFrame):
                if track.is_quiet:
                    track.preroll.append(order)
                    if not track.opened.drops:
                        events.append((number, Progress(order.frame.end)))
                    continue
                self._pass_preroll(track, to_send, events)
                track.pushed_to = order.frame.end
                self._pass(track, order, to_send, events)
            elif isinstance(order, RankTrack):
                track.rank = order
                if self._has_model:
                    to_send.append(order)
            elif isinstance(order, CloseTrack):
                del self._tracks[number]
                if self._has_model:
                    to_send.append(order)
            else:
                self._note(track, order, to_send, events)
                self._pass(track, order, to_send, events)
        return to_send, events

    def said(self, events: Iterable[tuple[int, TrackEvent]]) -> None:
        """What the model answers."""
        for number, event in events:
            track = self._tracks.get(number)
            if track is None:
                continue
            match event:
                case Word(end=end) | WordEnd(end) | Gap(end=end):
                    track.unsaid_from = max(track.unsaid_from, end)
                case Flushed():
                    if track.owed:
                        track.owed.popleft()
                    track.unsaid_from = max(track.unsaid_from, track.spurt_from)

    def lost(self) -> list[tuple[int, TrackEvent]]:
        """The model is gone."""
        if not self._has_model:
            return []
        self._has_model = False
        events: list[tuple[int, TrackEvent]] = []
        for number, track in self._tracks.items():
            if track.is_quiet:
                continue
            if track.pushed_to > track.unsaid_from:
                events.append((number, Gap(track.unsaid_from, track.pushed_to, "restart")))
            events.append((number, Tentative(())))
            events += [(number, Flushed(owed)) for owed in track.owed]
            if not track.opened.drops:
                events.append((number, Progress(track.pushed_to)))
            track.owed.clear()
            track.unsaid_from = track.spurt_from = track.pushed_to
            track.sent_speaking = track.speaking
        return events

    def found(self) -> tuple[list[Order], list[tuple[int, TrackEvent]]]:
        """There is a new model: what it is to be told."""
        self._has_model = True
        orders: list[Order] = []
        events: list[tuple[int, TrackEvent]] = []
        for number, track in self._tracks.items():
            orders.append(track.opened)
            if track.rank is not None:
                orders.append(track.rank)
            if track.sent_speaking:
                orders.append(StartSpeech(number))
                track.sent_speaking = False
            orders += track.kept
            track.kept.clear()
            track.kept_frames = 0
            dropped = track.take_dropped()
            if dropped is not None:
                events.append((number, dropped))
        return orders, events

    def _note(
        self, track: _RelayedTrack, order: Order, to_send: list[Order], events: list[tuple[int, TrackEvent]]
    ) -> None:
        match order:
            case StartSpeech():
                track.spurt_from = track.preroll[0].frame.start if track.preroll else track.pushed_to
                if track.is_quiet:
                    track.unsaid_from = track.spurt_from
                track.speaking = True
                self._pass_preroll(track, to_send, events)
            case EndSpeech():
                track.speaking = False
                track.owed.append(None)
            case FlushTrack(flush_id=flush_id):
                track.owed.append(flush_id)

    def _pass_preroll(self, track: _RelayedTrack, to_send: list[Order], events: list[tuple[int, TrackEvent]]) -> None:
        for held in track.preroll:
            track.pushed_to = held.frame.end
            self._pass(track, held, to_send, events)
        track.preroll.clear()

    def _pass(
        self, track: _RelayedTrack, order: Order, to_send: list[Order], events: list[tuple[int, TrackEvent]]
    ) -> None:
        """On to the model, or kept for the next one."""
        if self._has_model:
            to_send.append(order)
            return
        track.kept.append(order)
        if isinstance(order, PushFrame):
            track.kept_frames += 1
            if track.opened.drops and track.kept_frames > self._most_frames:
                dropped = track.drop_oldest()
                if dropped is not None:
                    events.append((order.track, dropped))
