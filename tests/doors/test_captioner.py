"""One published track: what was heard and said of it, to messages."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captions.doors.captioner import Captioner, TrackError, TrackNews
from captions.engine.orders import Arrived, BadAudio, Impaired
from captions.metrics import Metrics
from captions.stream.captions import CaptionWord, GapNotice, Latency, Participant, Segment, SpeechNotice, Uncaptioned
from captions.stream.timeline import Packet, PlacedPacket
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
    WordTiming,
)
from captions.vad.gate import SpurtEnded, SpurtStarted

EPOCH = 1_700_000_000.0
ZOE = Participant("p1", "Zoé")
PARTS = ("buffer", "model_delay", "lane_wait", "queue", "compute", "send")


class Stage:
    """A track, the messages that came of it, and the clock it reads."""

    def __init__(self) -> None:
        self.now = 0.0
        self.messages: list[TrackNews] = []
        self.metrics = Metrics()
        numbers = count()
        self.track = Captioner(
            "daily",
            "t1",
            ZOE,
            lambda: f"s{next(numbers)}",
            lambda: self.now,
            lambda: EPOCH + self.now,
            self.metrics,
            self._take_in,
        )
        self.missing: list[Uncaptioned] = []

    def _take_in(self, news: TrackNews | Uncaptioned) -> None:
        if isinstance(news, Uncaptioned):
            self.missing.append(news)
        else:
            self.messages.append(news)

    def take(self) -> list[TrackNews]:
        """What was emitted since the last time."""
        taken, self.messages[:] = list(self.messages), []
        return taken

    def segments(self) -> list[Segment]:
        return [message for message in self.take() if isinstance(message, Segment)]

    def say(self, *events: TrackEvent, at: float = 0.0) -> list[Segment]:
        self.now = at
        self.track.said(list(events))
        return self.segments()

    def arrived(self, start_s: float, end_s: float, at: float, captured_at: float | None = None) -> None:
        start = samples(start_s)
        placed = PlacedPacket(Packet(b"", at, captured_at), start, samples(end_s) - start)
        self.track.heard(Arrived([placed]))

    def metric(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


def samples(length_s: float) -> int:
    return round(length_s * SAMPLE_RATE)


def word(text: str, start_s: float, end_s: float, timing: WordTiming | None = None) -> Word:
    return Word(text, samples(start_s), samples(end_s), timing)


IT, WAS, THE = word("It", 1.0, 1.2), word("was", 1.2, 1.5), word("the", 1.5, 1.6)


def test_a_word_becomes_a_segment_of_its_room_track_and_participant() -> None:
    assert Stage().say(IT, Tentative((WAS, THE))) == [
        Segment(
            room="daily",
            track="t1",
            participant=ZOE,
            id="s0",
            revision=0,
            final=False,
            start=1.0,
            end=1.6,
            text="It",
            words=[CaptionWord("It", 1.0, 1.2)],
            tentative="was the",
            latency=Latency(),
            said_at=EPOCH,
        )
    ]


def test_a_segment_says_when_it_was_said_whatever_it_took_to_be_shown() -> None:
    stage = Stage()
    stage.arrived(0.0, 1.0, at=11.0)
    stage.arrived(1.0, 1.5, at=11.5)
    first = stage.say(IT, at=14.0)
    later = stage.say(WAS, THE, Flushed(None), at=16.0)
    assert [(s.start, s.said_at) for s in first + later] == [(1.0, EPOCH + 11.0)] * 2


def test_the_words_of_one_step_are_one_revision() -> None:
    assert [(s.revision, s.text) for s in Stage().say(IT, WAS, THE)] == [(0, "It was the")]


def test_a_segment_grows_until_the_spurt_is_flushed() -> None:
    stage = Stage()
    segments = stage.say(IT) + stage.say(WAS) + stage.say(Flushed(None))
    assert [(s.id, s.revision, s.final, s.text) for s in segments] == [
        ("s0", 0, False, "It"),
        ("s0", 1, False, "It was"),
        ("s0", 2, True, "It was"),
    ]
    assert stage.say(Flushed(None)) == []


def test_the_models_pause_closes_a_segment_only_where_it_begins() -> None:
    stage = Stage()
    assert [s.final for s in stage.say(IT, Pause(0, (0.9,), False))] == [False]
    assert [(s.final, s.text) for s in stage.say(Pause(0, (0.9,), True))] == [(True, "It")]
    assert [(s.id, s.text) for s in stage.say(WAS)] == [("s1", "was")]


def test_a_word_whose_end_is_heard_later_is_put_right() -> None:
    stage = Stage()
    stage.say(IT)
    assert [s.words for s in stage.say(WordEnd(samples(1.4)))] == [[CaptionWord("It", 1.0, 1.4)]]


def test_the_clients_flushes_are_given_back_in_order() -> None:
    stage = Stage()
    assert stage.track.said([IT, Flushed("f1"), Flushed(None), WAS, Flushed("f2")]) == ["f1", "f2"]
    assert [(s.final, s.text) for s in stage.segments()] == [(True, "It"), (True, "was")]


def test_closing_makes_what_is_committed_final() -> None:
    stage = Stage()
    stage.say(IT, Tentative((WAS,)))
    stage.track.close()
    assert [(s.revision, s.final, s.text, s.tentative) for s in stage.segments()] == [(1, True, "It", "")]


WORDS = st.builds(lambda text: Word(text, 0, 0), st.text("ab.", min_size=1, max_size=30))
EVENTS: st.SearchStrategy[TrackEvent] = st.one_of(
    WORDS,
    st.lists(WORDS, max_size=3).map(lambda words: Tentative(tuple(words))),
    st.builds(WordEnd, st.integers(0, 1_000)),
    st.builds(Pause, st.just(0), st.just((0.9,)), st.booleans()),
    st.builds(Flushed, st.none() | st.just("f")),
)


@given(st.lists(st.lists(EVENTS, max_size=4)))
def test_revisions_only_ever_grow_and_a_final_segment_never_changes(steps: list[list[TrackEvent]]) -> None:
    stage = Stage()
    for step in steps:
        stage.track.said(step)
    stage.track.close()
    seen: dict[str, Segment] = {}
    for segment in stage.segments():
        before = seen.get(segment.id)
        if before is not None:
            assert not before.final
            assert segment.revision == before.revision + 1
            assert [w.text for w in segment.words][: len(before.words)] == [w.text for w in before.words]
        else:
            assert segment.revision == 0
        assert segment.text == " ".join(w.text for w in segment.words)
        assert not (segment.final and segment.tentative)
        seen[segment.id] = segment
    committed = [event.text for step in steps for event in step if isinstance(event, Word)]
    assert [w.text for s in seen.values() for w in s.words] == committed
    assert all(s.final for s in seen.values())


def test_the_latency_block_is_that_of_the_newest_word_and_adds_up() -> None:
    stage = Stage()
    stage.arrived(0.0, 1.0, at=11.0)
    stage.arrived(1.0, 1.2, at=11.2)
    timing = WordTiming(frame_at=11.24, ahead_at=11.74, lane_at=11.74, step_at=11.76, emitted_at=11.80)
    [segment] = stage.say(word("Old", 0.1, 0.2, WordTiming(1, 1, 1, 1, 1)), word("It", 1.0, 1.2, timing), at=11.81)
    assert segment.latency == Latency(
        word_latency=610.0, buffer=40.0, lane_wait=0.0, queue=20.0, model_delay=500.0, compute=40.0, send=10.0
    )
    assert stage.metric("captions_words_total") == 2
    assert stage.metric("captions_word_latency_seconds_count") == 2
    assert stage.metric("captions_word_latency_part_seconds_count", part="model_delay") == 2


@given(st.lists(st.floats(0, 100), min_size=7, max_size=7).map(sorted))
def test_the_parts_still_add_up_after_rounding(moments: list[float]) -> None:
    stage = Stage()
    arrived_at, *timing, sent_at = moments
    stage.arrived(0.0, 1.2, at=arrived_at)
    [segment] = stage.say(word("It", 1.0, 1.2, WordTiming(*timing)), at=sent_at)
    latency = segment.latency
    assert latency.word_latency == pytest.approx(sum(getattr(latency, part) for part in PARTS), abs=1e-6)
    assert latency.word_latency == pytest.approx((sent_at - arrived_at) * 1_000, abs=0.5)


def test_a_revision_without_a_new_word_has_no_word_latency() -> None:
    stage = Stage()
    stage.say(word("It", 1.0, 1.2, WordTiming(1, 1, 1, 1, 1)))
    assert [s.latency for s in stage.say(Tentative((WAS,)))] == [Latency()]


def test_first_partial_and_ttfs_of_a_spurt() -> None:
    stage = Stage()
    stage.arrived(0.0, 1.0, at=11.0)
    stage.track.heard(SpurtStarted(samples(1.0)))
    assert [s.latency for s in stage.say(Tentative((IT,)), at=11.5)] == [Latency(first_partial=500.0)]
    assert [s.latency for s in stage.say(IT, Tentative(()), at=11.9)] == [Latency()]
    stage.arrived(1.0, 1.5, at=11.5)
    stage.arrived(1.5, 2.0, at=12.0)
    stage.track.heard(SpurtEnded(samples(1.5)))
    assert [(s.final, s.latency) for s in stage.say(Flushed(None), at=12.25)] == [(True, Latency(ttfs=750.0))]
    assert stage.metric("captions_first_partial_seconds_sum") == pytest.approx(0.5)
    assert stage.metric("captions_ttfs_seconds_sum") == pytest.approx(0.75)


def test_first_partial_is_given_once_a_spurt_however_many_segments_it_has() -> None:
    stage = Stage()
    stage.track.heard(SpurtStarted(0))
    said = stage.say(IT) + stage.say(Pause(0, (), True)) + stage.say(WAS) + stage.say(Flushed(None))
    assert [s.latency.first_partial is not None for s in said] == [True, False, False, False]


def test_a_spurt_that_begins_before_the_last_one_is_flushed_has_its_own_figures() -> None:
    stage = Stage()
    stage.arrived(0.0, 10.0, at=10.0)
    stage.track.heard(SpurtStarted(0))
    stage.say(IT, at=10.5)
    stage.track.heard(SpurtEnded(samples(10.0)))
    stage.arrived(10.0, 11.0, at=11.0)
    stage.track.heard(SpurtStarted(samples(11.0)))
    assert [s.latency for s in stage.say(Flushed(None), at=11.2)] == [Latency(ttfs=1_200.0)]
    assert [s.latency for s in stage.say(WAS, at=11.7)] == [Latency(first_partial=700.0)]


def test_a_silent_spurt_gives_no_figures_and_no_segment() -> None:
    stage = Stage()
    stage.track.heard(SpurtStarted(0))
    stage.track.heard(SpurtEnded(100))
    stage.take()
    assert stage.say(Flushed(None), at=5.0) == []
    assert stage.metric("captions_ttfs_seconds_count") == 0


def test_capture_to_caption_is_on_the_senders_clock() -> None:
    stage = Stage()
    stage.arrived(0.0, 2.0, at=12.1, captured_at=1_000.0)
    stage.track.map_clock(-988.0 + 0.1)
    stage.track.map_clock(-988.0)
    stage.track.map_clock(-988.0 + 0.3)
    [segment] = stage.say(word("It", 1.0, 2.0), at=15.0)
    assert segment.latency == Latency(capture_to_caption=1_000.0)


def test_capture_to_caption_is_only_given_where_the_client_gives_its_clock() -> None:
    only_pinged = Stage()
    only_pinged.arrived(0.0, 2.0, at=12.1)
    only_pinged.track.map_clock(-988.0)
    assert [s.latency for s in only_pinged.say(word("It", 1.0, 2.0), at=15.0)] == [Latency()]
    only_captured = Stage()
    only_captured.arrived(0.0, 2.0, at=12.1, captured_at=1_000.0)
    assert [s.latency for s in only_captured.say(word("It", 1.0, 2.0), at=15.0)] == [Latency()]


def test_speech_is_told_and_counted_while_it_lasts() -> None:
    stage = Stage()
    stage.track.heard(SpurtStarted(samples(1.2345678)))
    assert stage.metric("captions_tracks_speaking") == 1
    stage.track.heard(SpurtEnded(samples(2.0)))
    assert stage.metric("captions_tracks_speaking") == 0
    assert stage.take() == [SpeechNotice("t1", True, 1.235), SpeechNotice("t1", False, 2.0)]


def test_a_track_that_closes_while_it_speaks_is_not_counted_any_more() -> None:
    stage = Stage()
    stage.track.heard(SpurtStarted(0))
    stage.track.close()
    assert stage.metric("captions_tracks_speaking") == 0


def test_gaps_are_told_and_counted_wherever_they_arose() -> None:
    stage = Stage()
    stage.track.heard(Gap(0, samples(0.5), "loss"))
    stage.track.said([Gap(samples(1.0), samples(3.0), "overload")])
    assert stage.take() == [GapNotice("t1", 0.0, 0.5, "loss"), GapNotice("t1", 1.0, 3.0, "overload")]
    assert stage.metric("captions_dropped_audio_seconds_total", reason="loss") == 0.5
    assert stage.metric("captions_dropped_audio_seconds_total", reason="overload") == 2.0


def test_what_the_network_spoilt_is_counted() -> None:
    stage = Stage()
    stage.track.heard(Impaired(late=2, repeated=1, concealed=samples(0.04)))
    assert stage.take() == []
    assert stage.metric("captions_packets_dropped_total", reason="late") == 2
    assert stage.metric("captions_packets_dropped_total", reason="repeated") == 1
    assert stage.metric("captions_concealed_audio_seconds_total") == 0.04


def test_errors_name_the_track() -> None:
    stage = Stage()
    stage.track.heard(BadAudio("not an Opus packet"))
    stage.track.said([ModelFailed("out of memory")])
    assert stage.take() == [
        TrackError("t1", "bad_audio", "not an Opus packet"),
        TrackError("t1", "model_failed", "out of memory"),
    ]


def test_audio_taken_in_is_counted() -> None:
    stage = Stage()
    stage.arrived(0.0, 1.5, at=1.5)
    assert stage.metric("captions_audio_seconds_total") == 1.5


def test_an_interruption_is_told_as_a_gap_behind_what_was_heard() -> None:
    stage = Stage()
    stage.arrived(0.0, 2.0, at=2.0)
    stage.track.interrupted(1.5)
    assert stage.take() == [GapNotice("t1", 2.0, 3.5, "disconnected")]


def test_audio_for_which_the_listener_had_no_room_is_a_gap_behind_what_was_heard() -> None:
    stage = Stage()
    stage.arrived(0.0, 2.0, at=2.0)
    stage.track.missed(samples(0.5))
    assert stage.take() == [GapNotice("t1", 2.0, 2.5, "overload")]
    assert stage.metric("captions_dropped_audio_seconds_total", reason="overload") == 0.5


def test_readers_are_told_of_a_gap_that_goes_on_as_one_that_grows() -> None:
    stage = Stage()
    stage.arrived(0.0, 40.0, at=50.0)
    for second in (31.0, 32.0, 33.0):
        stage.track.said([Gap(samples(second), samples(second + 1), "overload")])
    stage.track.said([Gap(samples(36.0), samples(37.0), "overload")])
    told = [(gap.id, gap.start, gap.end, gap.reason) for gap in stage.missing]
    assert told == [
        ("s0", 31.0, 32.0, "overload"),
        ("s0", 31.0, 33.0, "overload"),
        ("s0", 31.0, 34.0, "overload"),
        ("s1", 36.0, 37.0, "overload"),
    ]
    first = stage.missing[0]
    assert (first.room, first.track, first.participant, first.said_at) == ("daily", "t1", ZOE, EPOCH + 50.0)


def test_readers_are_not_told_of_less_than_half_a_second() -> None:
    stage = Stage()
    stage.track.heard(Gap(0, samples(0.3), "loss"))
    stage.track.heard(Gap(samples(1.0), samples(1.49), "loss"))
    stage.track.interrupted(0.0)
    assert stage.missing == []
    stage.track.heard(Gap(samples(1.5), samples(1.6), "loss"))
    assert [(gap.start, gap.end) for gap in stage.missing] == [(1.0, 1.6)]


def test_packets_missed_one_after_another_add_up() -> None:
    stage = Stage()
    stage.arrived(0.0, 2.0, at=2.0)
    for _ in range(3):
        stage.track.missed(samples(0.3))
    assert [(gap.start, gap.end) for gap in stage.missing] == [(2.0, 2.6), (2.0, 2.9)]
    assert [(gap.start, gap.end) for gap in stage.take() if isinstance(gap, GapNotice)] == [
        (2.0, 2.3),
        (2.3, 2.6),
        (2.6, 2.9),
    ]
