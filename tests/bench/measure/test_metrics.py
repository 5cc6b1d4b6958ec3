"""Every figure against known answers: of whole scripts, and of logs small enough to work out by hand."""

from __future__ import annotations

import pytest

from bench.measure.events import Done, Seen, SeenWord, SentAudio, SpeechTurn, TrackLog, Trouble
from bench.measure.metrics import figures, measure, pooled
from bench.servers.script import Script, expected, scripted_log, standard_script
from bench.truth.words import GoldWord, Truth


@pytest.mark.parametrize("script", [standard_script(), standard_script(9, 11), standard_script(1, 2)])
def test_every_figure_of_a_script_is_what_was_scripted(script: Script) -> None:
    measured = figures(measure(scripted_log(script), script.truth))
    assert {name: measured[name].value for name in expected(script)} == pytest.approx(expected(script))
    assert set(measured) == set(expected(script))


def test_tracks_are_pooled() -> None:
    script = standard_script()
    samples = pooled(measure(scripted_log(script, str(n), 50.0 * n), script.truth) for n in range(3))
    measured = figures(samples)
    assert {name: measured[name].value for name in measured} == pytest.approx(expected(script, tracks=3))


def test_a_log_by_hand() -> None:
    """ "one two" said at 1.0 to 1.4 and 1.4 to 1.8; "too" is shown at 2.0, corrected at 2.3, closed at 2.5."""
    truth = Truth((GoldWord("one", 1.0, 1.4), GoldWord("two", 1.4, 1.8)), "by hand")
    log = _log_of(
        Seen("t", 11.7, "a", (), ("one",), False),
        Seen("t", 12.0, "a", (SeenWord("One", 1.0, 1.5),), ("too",), False),
        Seen("t", 12.3, "a", (SeenWord("One", 1.0, 1.5), SeenWord("two.", 1.5, 1.8)), (), False),
        Seen("t", 12.5, "a", (SeenWord("One", 1.0, 1.5), SeenWord("two.", 1.5, 1.8)), (), True),
        Done("t", 12.6),
    )
    measured = {name: figure.value for name, figure in figures(measure(log, truth)).items()}
    assert measured["word_latency_p50"] == pytest.approx(550)  # 600 and 500 ms
    assert measured["shown_latency_p50"] == pytest.approx(400)  # 300 and 500 ms
    assert measured["first_partial_p50"] == pytest.approx(700)
    assert measured["ttfs_p50"] == pytest.approx(700)
    assert measured["last_words"] == pytest.approx(500)
    assert measured["done_after_end"] == pytest.approx(600)
    assert measured["erasure"] == measured["upwr"] * 2 / 2 == pytest.approx(0.5)
    assert measured["wer"] == 0.0
    assert measured["end_error_median"] == pytest.approx(50)  # 100 and 0 ms


def test_a_server_figure_of_several_words_is_of_the_newest() -> None:
    truth = Truth((GoldWord("one", 1.0, 1.4), GoldWord("two", 1.4, 1.8)), "by hand")
    both = (SeenWord("one", 1.0, 1.4), SeenWord("two", 1.4, 1.8))
    samples = measure(_log_of(Seen("t", 12.0, "a", both, (), True, {"word_latency": 190.0})), truth)
    assert samples.word_latency_server == pytest.approx([590, 190])
    assert samples.word_latency_reported == pytest.approx([600, 200])
    assert samples.transport == pytest.approx([10, 10])


def test_a_missed_spurt_has_no_latency() -> None:
    truth = Truth((GoldWord("one", 1.0, 1.4), GoldWord("two", 3.0, 3.4)), "by hand")
    samples = measure(_log_of(Seen("t", 11.9, "a", (SeenWord("one"),), (), True)), truth)
    assert len(samples.ttfs) == len(samples.first_partial) == 1
    assert sum(errors for errors, _ in samples.errors) == 1


def test_warm_up_leaves_latencies_out_but_not_errors() -> None:
    truth = Truth((GoldWord("one", 1.0, 1.4), GoldWord("two", 3.0, 3.4)), "by hand")
    log = _log_of(
        Seen("t", 11.9, "a", (SeenWord("one"),), (), True), Seen("t", 13.9, "b", (SeenWord("two"),), (), True)
    )
    samples = measure(log, truth, warm_up_s=2.0)
    assert samples.word_latency == pytest.approx([500])
    assert samples.errors == [(0.0, 2.0)]


def test_nothing_seen_is_all_wrong() -> None:
    truth = Truth((GoldWord("one", 1.0, 1.4),), "by hand")
    measured = figures(measure(_log_of(), truth))
    assert measured["wer"].value == 1.0
    assert "word_latency_p50" not in measured


def test_boundaries_are_judged_by_the_nearest_word_and_missed_after_long_pauses() -> None:
    truth = Truth((GoldWord("one", 1.0, 1.4), GoldWord("two", 3.0, 3.4)), "by hand")
    samples = measure(_log_of(SpeechTurn("t", 11.2, True, 1.1), SpeechTurn("t", 11.9, False, 1.3)), truth)
    assert samples.onset_error == pytest.approx([100])
    assert samples.offset_error == pytest.approx([-100])
    assert samples.onsets_missed == [(0.0, 1.0), (1.0, 1.0)]


def test_troubles_are_counted() -> None:
    truth = Truth((GoldWord("one", 1.0, 1.4),), "by hand")
    assert figures(measure(_log_of(Trouble("t", 11.0, "gap: overload")), truth))["troubles"].value == 1


def _log_of(*observations: Done | Seen | SpeechTurn | Trouble) -> TrackLog:
    """Four seconds of audio sent in time from moment 10 on, a packet each 20 ms, and what was seen."""
    sent = SentAudio([0.02 * n for n in range(1, 201)], [10 + 0.02 * n for n in range(1, 201)])
    log = TrackLog("t", sent, finished_at=12.0)
    for observation in observations:
        log.add(observation)
    return log
