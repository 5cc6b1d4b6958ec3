"""The resume log: exactly what a client has not had, as far as it is kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from captions.doors.resume_log import ResumeLog


@given(st.integers(0, 12), st.integers(-2, 15), st.integers(1, 6))
def test_what_a_client_has_not_had_is_given_in_order_as_far_as_it_is_kept(sent: int, received: int, most: int) -> None:
    log = ResumeLog(most)
    for number in range(sent):
        log.keep(f"m{number}")
    wanted = [f"m{number}" for number in range(sent) if number >= received]
    assert log.missed(received) == wanted[-most:]


def test_a_log_knows_its_own_secret_and_no_other() -> None:
    log, other = ResumeLog(1), ResumeLog(1)
    assert log.knows(log.secret)
    assert not log.knows(other.secret)
    assert not log.knows("été")
