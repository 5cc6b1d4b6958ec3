"""A track as its sender has it: what goes along when it is moved, and which node's words are then believed."""

from __future__ import annotations

from captions.client.link import Link
from captions.client.place import Place
from captions.client.sent_track import SentTrack, before
from captions.doors.native.messages import (
    Audio,
    FlushRequest,
    GapNotice,
    Mute,
    Participant,
    Segment,
    SpeechNotice,
    Start,
)
from captions.stream.captions import CaptionWord, Latency

FRAME = bytes(4 * 1_920)
FRAME_S = 0.08


def sent(seconds: float) -> SentTrack:
    track = SentTrack(Start("daily", "ada", "pcm_f32le", sample_rate=24_000), keep_s=10.0)
    keep(track, seconds)
    return track


def keep(track: SentTrack, seconds: float) -> None:
    for _ in range(round(seconds / FRAME_S)):
        track.keep(Audio("ada", FRAME))


def spoken(*starts: float, tentative: str = "") -> Segment:
    words = [CaptionWord(f"w{start:g}", start, start + 0.25) for start in starts]
    text = " ".join([*(word.text for word in words), tentative]).strip()
    end = words[-1].end
    return Segment("daily", "ada", Participant("ada"), "s", 3, False, starts[0], end, text, words, Latency(), tentative)


def test_a_track_is_handed_over_from_the_end_of_its_speech_on_however_late_that_was_told() -> None:
    track = sent(8.0)
    track.learn(SpeechNotice("ada", True, 5.0))
    track.learn(SpeechNotice("ada", False, 6.8))
    begins_at, rest = track.handover()
    assert 6.9 <= begins_at <= 6.9 + FRAME_S
    assert len(rest) == round((8.0 - begins_at) / FRAME_S)


def test_of_a_long_silence_no_more_goes_along_than_could_hold_speech_without_a_notice() -> None:
    track = sent(8.0)
    begins_at, _ = track.handover()
    assert abs(begins_at - 6.0) < 2 * FRAME_S


def test_words_that_began_before_the_handover_are_the_old_nodes_and_all_others_the_next_ones() -> None:
    left_at = 6.9
    assert before(spoken(5.0, 6.4), left_at) == spoken(5.0, 6.4)
    kept = before(spoken(5.0, 6.4, 7.0, tentative="and"), left_at)
    assert isinstance(kept, Segment)
    assert (kept.text, [word.start for word in kept.words], kept.end, kept.tentative) == (
        "w5 w6.4",
        [5.0, 6.4],
        6.65,
        "",
    )
    assert before(spoken(7.0, 7.3), left_at) is None


def test_what_the_old_node_tells_of_the_time_after_is_passed_over() -> None:
    earlier, later = SpeechNotice("ada", False, 6.8), SpeechNotice("ada", True, 7.0)
    assert (before(earlier, 6.9), before(later, 6.9)) == (earlier, None)
    gap = GapNotice("ada", 6.0, 6.5, "overloaded")
    assert (before(gap, 6.9), before(gap, 5.9)) == (gap, None)


def test_speech_that_began_unnoticed_goes_along_however_long_nobody_heard_it() -> None:
    track = sent(8.0)
    track.learn(SpeechNotice("ada", False, 6.0))
    track.lose(heard_since=False)
    keep(track, 4.0)
    begins_at, rest, lost_s = track.rest_from()
    assert 6.0 <= begins_at < 6.0 + 2 * FRAME_S
    assert (len(rest), lost_s) == (round((12.0 - begins_at) / FRAME_S), 0.0)


def test_what_was_kept_no_longer_is_told_with_its_true_length() -> None:
    track = sent(8.0)
    track.learn(SpeechNotice("ada", False, 6.0))
    track.lose(heard_since=False)
    keep(track, 16.0)
    begins_at, rest, lost_s = track.rest_from()
    assert 14.0 <= begins_at < 14.0 + 2 * FRAME_S
    assert len(rest) == round((24.0 - begins_at) / FRAME_S)
    assert abs(begins_at - lost_s - 6.0) < 1e-6


def test_a_track_that_is_lost_again_before_anything_was_told_of_it_goes_back_to_the_first_loss() -> None:
    track = sent(8.0)
    track.learn(SpeechNotice("ada", False, 6.0))
    track.lose(heard_since=False)
    keep(track, 2.0)
    track.rest_from()
    keep(track, 2.0)
    track.lose(heard_since=False)
    begins_at, _, lost_s = track.rest_from()
    assert 6.0 <= begins_at < 6.0 + 2 * FRAME_S
    assert lost_s == 0.0
    track.lose(heard_since=True)
    assert track.rest_from()[0] >= 10.0


def test_what_a_node_has_heard_behind_the_last_word_is_not_sent_again_once_it_has_told_all() -> None:
    track = sent(8.0)
    track.learn(SpeechNotice("ada", True, 5.0))
    track.learn(spoken(5.0, 6.4))
    track.learn(SpeechNotice("ada", False, 7.2))
    track.lose(heard_since=False)
    track.end()
    assert 7.2 <= track.rest_from()[0] < 7.2 + 2 * FRAME_S


def test_a_flush_that_was_not_answered_is_asked_again_behind_the_same_audio() -> None:
    track = sent(0.0)
    place = Place(track, Link("ws://nowhere"))
    place.note(FlushRequest("ada", "answered"))
    first, second = Audio("ada", FRAME, seq=1), Audio("ada", FRAME, seq=2)
    asked, late = FlushRequest("ada", "asked"), FlushRequest("ada", "late")
    for message in (first, asked, second, Mute("ada"), Audio("ada", FRAME, seq=3), late):
        place.note(message)
    place.flushed("answered")
    track.lose(heard_since=False)
    _, rest, _ = track.rest_from()
    assert list(place.messages(rest)) == [track.start, first, asked, second, late, Mute("ada")]
