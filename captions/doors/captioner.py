"""One track's captions: what was heard and said of it becomes segments with their latency, and notices."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal, TypeAlias

from captions.doors.missing import Missing
from captions.engine.orders import Arrived, BadAudio, HearingEvent, Impaired
from captions.metrics import Metrics
from captions.stream.captions import CaptionWord, GapNotice, Latency, Participant, Segment, SpeechNotice, Uncaptioned
from captions.stream.figures import PARTS
from captions.stream.latency import Arrivals, WordLatency, word_latency
from captions.stream.segments import Revision, Segmenter
from captions.stream.timeline import PlacedPacket
from captions.types import (
    SAMPLE_RATE,
    Flushed,
    Gap,
    ModelFailed,
    Pause,
    Tentative,
    TrackEvent,
    Word,
    WordEnd,
    samples_in,
    seconds,
)
from captions.vad.gate import SpurtEnded, SpurtStarted

__all__ = ["Captioner", "TrackError", "TrackNews"]


@dataclass(frozen=True, slots=True)
class TrackError:
    """Something went wrong with the audio or the model of one track."""

    track: str
    code: Literal["bad_audio", "model_failed"]
    message: str


TrackNews: TypeAlias = Segment | SpeechNotice | GapNotice | TrackError
"""What a track's publisher is told; its room gets the segments, and is told what is missing in words of its own."""


@dataclass(slots=True)
class _Spurt:
    """A spurt whose words are not all out: when its first and last speech arrived, and whether any text was shown."""

    began_at: float
    ended_at: float | None = None
    shown: bool = False


class Captioner:
    """Pass on what the listener `heard` and the model `said`; what people are to be told comes out through `tell`.

    `clock` is the server's monotonic clock: the moment a segment leaves is part of its latency. `wall_clock` counts the
    seconds since 1970: it is read once, so that nothing said on a track can seem to be said before what came first.
    """

    def __init__(
        self,
        room: str,
        name: str,
        participant: Participant,
        new_id: Callable[[], str],
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        metrics: Metrics,
        tell: Callable[[TrackNews | Uncaptioned], None],
    ) -> None:
        self.room = room
        self.name = name
        self.participant = participant
        self._clock = clock
        self._epoch_at = wall_clock() - clock()
        self._metrics = metrics
        self._tell = tell
        self._segmenter = Segmenter(new_id)
        self._arrivals = Arrivals()
        self._captures = Arrivals()
        self._clock_offset: float | None = None
        self._new_words: list[Word] = []
        self._spurts: deque[_Spurt] = deque()
        self.speaking = False
        self._said_elsewhere_from: float = inf
        self._heard_to = 0
        self._missing = Missing(room, name, participant, new_id)

    def heard(self, event: HearingEvent) -> None:
        match event:
            case Arrived(packets):
                self._arrive(packets)
            case SpurtStarted(at):
                self._speech(True, at)
                self._spurts.append(_Spurt(self._arrivals.at(at)))
            case SpurtEnded(at):
                self._speech(False, at)
                self._spurts[-1].ended_at = self._arrivals.at(at)
            case BadAudio(message):
                self._error("bad_audio", message)
            case Impaired(late, repeated, concealed):
                self._metrics.packets_dropped.labels(reason="late").inc(late)
                self._metrics.packets_dropped.labels(reason="repeated").inc(repeated)
                self._metrics.concealed_audio_seconds.inc(seconds(concealed))
            case Gap():
                self._gap(event)

    def said(self, events: Sequence[TrackEvent]) -> list[str]:
        """What the model said in one step. Returns the ids of the client's flushes that are done with it."""
        done = []
        for event in map(self._own, events):
            match event:
                case Word():
                    self._new_words.append(event)
                    self._send(self._segmenter.add(event))
                case WordEnd():
                    self._segmenter.end_word(event)
                case Tentative():
                    self._segmenter.guess(event)
                case Pause(begun=True):
                    self._send(self._segmenter.close())
                case Flushed(flush_id):
                    self._send(self._segmenter.close(), ends_spurt=flush_id is None)
                    if flush_id is not None:
                        done.append(flush_id)
                case Gap():
                    self._gap(event)
                case ModelFailed(message):
                    self._error("model_failed", message)
        self._send(self._segmenter.revise())
        return done

    def hand_over(self, at_s: float) -> None:
        """Words that begin here or later are another node's to say, but for those that were said already."""
        self._said_elsewhere_from = samples_in(at_s)

    def interrupted(self, away_s: float) -> None:
        """The publisher lost its connection for that long; nothing of it was heard meanwhile."""
        self._gap(Gap(self._heard_to, self._heard_to + samples_in(away_s), "disconnected"))

    def missed(self, samples: int) -> None:
        """The listener had no room for so many samples, which came behind those heard or missed so far."""
        start = max(self._heard_to, self._missing.to)
        self._gap(Gap(start, start + samples, "overload"))

    def close(self) -> None:
        """The track is over: what is committed of the segment under way becomes final."""
        self._send(self._segmenter.close())
        if self.speaking:
            self._metrics.tracks_speaking.dec()

    def map_clock(self, offset: float) -> None:
        """The sender's clock is `offset` seconds behind ours, at most; the smallest seen is the truest."""
        self._clock_offset = offset if self._clock_offset is None else min(offset, self._clock_offset)

    def _own(self, event: TrackEvent) -> TrackEvent | None:
        """What is to be said here of an event. Words come in order: the end of one that is not said is not either."""
        match event:
            case Word(start=start) if start >= self._said_elsewhere_from:
                self._said_elsewhere_from = 0
                return None
            case Tentative(words):
                return Tentative(tuple(word for word in words if word.start < self._said_elsewhere_from))
            case WordEnd() if not self._said_elsewhere_from:
                return None
        return event

    def _arrive(self, packets: Sequence[PlacedPacket]) -> None:
        samples = 0
        for placed in packets:
            packet, end = placed.packet, placed.start + placed.samples
            samples += placed.samples
            self._heard_to = end
            self._arrivals.arrived(end, packet.arrived_at)
            if packet.captured_at is not None:
                self._captures.arrived(end, packet.captured_at + placed.samples / SAMPLE_RATE)
        self._metrics.audio_seconds.inc(seconds(samples))

    def _speech(self, speaking: bool, at: int) -> None:
        if speaking != self.speaking:
            self._metrics.tracks_speaking.inc(1 if speaking else -1)
        self.speaking = speaking
        self._tell(SpeechNotice(track=self.name, speaking=speaking, at=_rounded(seconds(at))))

    def _gap(self, gap: Gap) -> None:
        length = seconds(gap.end - gap.start)
        self._metrics.dropped_audio_seconds.labels(reason=gap.reason).inc(length)
        self._tell(
            GapNotice(
                track=self.name, start=_rounded(seconds(gap.start)), end=_rounded(seconds(gap.end)), reason=gap.reason
            )
        )
        missing = self._missing.add(gap, self._said_at(gap.start))
        if missing is not None:
            self._tell(missing)

    def _said_at(self, position: int) -> float:
        """When the audio at a media position arrived, in seconds since 1970."""
        return _rounded(self._epoch_at + self._arrivals.at(position))

    def _error(self, code: Literal["bad_audio", "model_failed"], message: str) -> None:
        self._tell(TrackError(self.name, code, message))

    def _send(self, revisions: list[Revision], *, ends_spurt: bool = False) -> None:
        now = self._clock()
        for revision in revisions:
            latency = self._latency(revision, now, ends_spurt)
            if revision.final and revision.words:
                self._metrics.segments.inc()
            self._tell(self._segment(revision, latency))
        if ends_spurt and self._spurts:
            self._spurts.popleft()

    def _segment(self, revision: Revision, latency: Latency) -> Segment:
        return Segment(
            room=self.room,
            track=self.name,
            participant=self.participant,
            id=revision.id,
            revision=revision.revision,
            final=revision.final,
            start=_rounded(seconds(revision.start)),
            end=_rounded(seconds(revision.end)),
            text=" ".join(word.text for word in revision.words),
            words=[
                CaptionWord(word.text, _rounded(seconds(word.start)), _rounded(seconds(word.end)))
                for word in revision.words
            ],
            tentative=" ".join(word.text for word in revision.tentative),
            latency=latency,
            said_at=self._said_at(revision.start),
        )

    def _latency(self, revision: Revision, now: float, ends_spurt: bool) -> Latency:
        parts: WordLatency | None = None
        capture_to_caption: float | None = None
        for word in self._new_words:
            if word.timing is not None:
                parts = word_latency(word.timing, self._arrivals.at(word.end), now)
                self._observe(parts)
        if self._new_words and self._clock_offset is not None and self._captures:
            capture_to_caption = now - (self._captures.at(self._new_words[-1].end) + self._clock_offset)
        self._new_words.clear()
        first_partial = ttfs = None
        spurt = self._spurts[0] if self._spurts else None
        if spurt is not None and not spurt.shown and (revision.words or revision.tentative):
            spurt.shown = True
            first_partial = max(0.0, now - spurt.began_at)
            self._metrics.first_partial_seconds.observe(first_partial)
        if spurt is not None and spurt.ended_at is not None and ends_spurt and revision.final:
            ttfs = max(0.0, now - spurt.ended_at)
            self._metrics.ttfs_seconds.observe(ttfs)
        return Latency(
            **({} if parts is None else _in_ms(parts)),
            first_partial=_ms(first_partial),
            ttfs=_ms(ttfs),
            capture_to_caption=_ms(capture_to_caption),
        )

    def _observe(self, parts: WordLatency) -> None:
        metrics = self._metrics
        metrics.words.inc()
        metrics.word_latency_seconds.observe(parts.total)
        for part, histogram in metrics.word_latency_parts:
            histogram.observe(getattr(parts, part))


def _in_ms(parts: WordLatency) -> dict[str, float]:
    """The parts in milliseconds, rounded so that they still add up to their total."""
    rounded = {part: round(getattr(parts, part) * 1_000, 1) for part in PARTS}
    return {"word_latency": round(sum(rounded.values()), 1), **rounded}


def _ms(length_s: float | None) -> float | None:
    return None if length_s is None else round(length_s * 1_000, 1)


def _rounded(time_s: float) -> float:
    """To the millisecond: finer is noise, and costs bytes."""
    return round(time_s, 3)
