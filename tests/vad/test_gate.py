"""The speech gate: probabilities, chunk by chunk, to spurts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captions.types import samples_in
from captions.vad.gate import Gate, GatePolicy, SpurtEnded, SpurtStarted

CHUNK = 768
POLICY = GatePolicy(onset=0.5, release=0.35, onset_s=0.064, hangover_s=0.16)
"""Two chunks of 32 ms open the gate, five close it."""

YES, MAYBE, NO = 0.5, 0.4, 0.3


def spurts(probabilities: list[float], gate: Gate | None = None) -> list[SpurtStarted | SpurtEnded]:
    gate = gate or Gate(POLICY)
    pushed = (gate.push(p, CHUNK * i, CHUNK * (i + 1)) for i, p in enumerate(probabilities))
    return [spurt for spurt in pushed if spurt is not None]


def opened() -> Gate:
    """A gate that has been speaking since 0; the next chunk is number 2."""
    gate = Gate(POLICY)
    assert spurts([YES, YES], gate) == [SpurtStarted(0)]
    return gate


def go_on(gate: Gate, probabilities: list[float], chunk: int = 2) -> list[SpurtStarted | SpurtEnded]:
    pushed = (gate.push(p, CHUNK * i, CHUNK * (i + 1)) for i, p in enumerate(probabilities, chunk))
    return [spurt for spurt in pushed if spurt is not None]


def test_silence_stays_silent() -> None:
    gate = Gate(POLICY)
    assert (spurts([NO, MAYBE, 0.0, 0.499], gate), gate.speaking) == ([], False)


def test_speech_that_rises_for_too_short_a_time_does_not_count() -> None:
    gate = Gate(POLICY)
    assert (spurts([YES, NO, YES, MAYBE, YES], gate), gate.speaking) == ([], False)


def test_a_spurt_starts_where_speech_rose() -> None:
    gate = Gate(POLICY)
    assert spurts([NO, NO, NO, YES, YES, YES], gate) == [SpurtStarted(3 * CHUNK)]
    assert gate.speaking


def test_speech_between_release_and_onset_goes_on() -> None:
    gate = opened()
    assert (go_on(gate, [MAYBE] * 50), gate.speaking) == ([], True)


def test_speech_that_comes_back_within_the_hangover_goes_on() -> None:
    gate = opened()
    assert (go_on(gate, [NO, NO, NO, NO, YES, NO, NO, NO, NO, YES]), gate.speaking) == ([], True)


def test_a_spurt_ends_where_speech_fell() -> None:
    gate = opened()
    assert go_on(gate, [YES, NO, NO, NO, NO, NO]) == [SpurtEnded(3 * CHUNK)]
    assert not gate.speaking


def test_what_may_be_speech_does_not_keep_a_falling_gate_open() -> None:
    assert go_on(opened(), [NO, MAYBE, MAYBE, MAYBE, MAYBE]) == [SpurtEnded(2 * CHUNK)]


def test_one_spurt_follows_another() -> None:
    assert spurts([YES, YES, *[NO] * 5, YES, YES, *[NO] * 5]) == [
        SpurtStarted(0),
        SpurtEnded(2 * CHUNK),
        SpurtStarted(7 * CHUNK),
        SpurtEnded(9 * CHUNK),
    ]


def test_without_onset_and_hangover_every_chunk_decides() -> None:
    assert spurts([YES, NO, YES], Gate(GatePolicy(0.5, 0.35, 0.0, 0.0))) == [
        SpurtStarted(0),
        SpurtEnded(CHUNK),
        SpurtStarted(2 * CHUNK),
    ]


@pytest.mark.parametrize(
    ("before", "ended"),
    [([], None), ([YES], None), ([YES, YES], SpurtEnded(7_000)), ([YES, YES, NO], SpurtEnded(2 * CHUNK))],
    ids=["silent", "rising", "speaking", "falling"],
)
def test_closing_ends_a_spurt_where_the_audio_stops_or_speech_fell(
    before: list[float], ended: SpurtEnded | None
) -> None:
    gate = Gate(POLICY)
    spurts(before, gate)
    assert gate.close(7_000) == ended
    assert gate.speaking is False
    assert gate.close(8_000) is None


def test_a_closed_gate_opens_again_only_after_the_whole_onset() -> None:
    gate = opened()
    gate.close(2 * CHUNK)
    assert go_on(gate, [YES]) == []
    assert go_on(gate, [YES], chunk=3) == [SpurtStarted(2 * CHUNK)]


@given(
    st.lists(st.floats(0, 1) | st.none()),
    st.builds(
        lambda onset, release, onset_s, hangover_s: GatePolicy(onset, onset * release, onset_s, hangover_s),
        st.floats(0.01, 1),
        st.floats(0, 1),
        st.floats(0, 0.3),
        st.floats(0, 0.5),
    ),
)
def test_starts_and_ends_alternate_and_never_go_back(probabilities: list[float | None], policy: GatePolicy) -> None:
    """None: the gate is closed there."""
    gate, seen = Gate(policy), list[SpurtStarted | SpurtEnded]()
    for i, p in enumerate(probabilities):
        spurt = gate.close(CHUNK * i) if p is None else gate.push(p, CHUNK * i, CHUNK * (i + 1))
        if spurt is not None:
            seen.append(spurt)
            assert spurt.at <= CHUNK * (i + 1)
        assert gate.speaking == (len(seen) % 2 == 1)
    assert [type(spurt) for spurt in seen] == [SpurtStarted, SpurtEnded] * (len(seen) // 2) + [SpurtStarted] * (
        len(seen) % 2
    )
    positions = [spurt.at for spurt in seen]
    assert positions == sorted(positions)


def test_the_defaults_are_those_of_the_design() -> None:
    policy = GatePolicy()
    assert (policy.onset, policy.release, samples_in(policy.onset_s), samples_in(policy.hangover_s)) == (
        0.5,
        0.35,
        2 * CHUNK,
        9_600,
    )
