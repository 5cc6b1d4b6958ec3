"""The resume log: exactly what a client has not had, as far as it is kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from captions.doors.resume_log import ResumeLog
from captions.doors.shared_bytes import SharedBytes


@given(st.integers(0, 12), st.integers(-2, 15), st.integers(1, 6))
def test_what_a_client_has_not_had_is_given_in_order_as_far_as_it_is_kept(sent: int, received: int, most: int) -> None:
    log = ResumeLog(most, 1_000, SharedBytes(1_000))
    for number in range(sent):
        log.keep(f"m{number}")
    wanted = [f"m{number}" for number in range(sent) if number >= received]
    assert log.missed(received) == wanted[-most:]


def test_a_log_knows_its_own_secret_and_no_other() -> None:
    log, other = (ResumeLog(1, 1_000, SharedBytes(1_000)) for _ in range(2))
    assert log.knows(log.secret)
    assert not log.knows(other.secret)
    assert not log.knows("été")


def test_the_newest_are_kept_as_far_as_their_bytes_allow() -> None:
    log = ResumeLog(10, 10, SharedBytes(1_000))
    for payload in ("aaaa", b"bbbb", "cccc", "dd"):
        log.keep(payload)
    assert (log.missed(0), log.kept_bytes) == ([b"bbbb", "cccc", "dd"], 10)
    log.keep("e" * 11)
    assert (log.missed(0), log.kept_bytes) == ([], 0)


def test_of_all_logs_the_largest_forgets_its_older_half_first() -> None:
    share = SharedBytes(10)
    large, small = ResumeLog(10, 100, share), ResumeLog(10, 100, share)
    for payload in "abcdefgh":
        large.keep(payload)
    for payload in "xyz":
        small.keep(payload)
    assert (large.missed(0), small.missed(0)) == (list("efgh"), list("xyz"))
    assert share.total == 7
    large.close()
    assert share.total == 3


def test_what_comes_after_the_end_is_kept_for_nobody() -> None:
    share = SharedBytes(100)
    log = ResumeLog(10, 100, share)
    log.close()
    log.keep("the last words")
    assert (log.missed(0), share.total) == ([], 0)
