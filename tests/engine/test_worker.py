"""A thread that is busy for too long is seen, and one that never comes back holds nobody up."""

from __future__ import annotations

import threading

from captions.engine.worker import Worker, describe, whereabouts


def test_only_what_it_is_at_counts_not_what_it_waits_for() -> None:
    now = 5.0
    worker = Worker("w", lambda: None, lambda: now)
    assert worker.busy_for(9.0) == 0.0
    worker.busy()
    assert worker.busy_for(9.0) == 4.0
    worker.waits()
    assert worker.busy_for(9.0) == 0.0


def test_a_thread_that_does_not_end_is_left_alone() -> None:
    may_end = threading.Event()
    worker = Worker("w", may_end.wait, lambda: 0.0)  # type: ignore[arg-type]
    assert worker.join(0.0), "it was never started"
    worker.start()
    assert not worker.join(0.01)
    may_end.set()
    assert worker.join(10.0)


def test_the_text_of_an_unforeseen_error_is_not_told() -> None:
    assert describe(KeyError("a name")) == "an error that was not foreseen: KeyError"


def test_where_an_error_was_raised_is_said_without_what_it_says() -> None:
    def raises() -> None:
        raise KeyError("a name")

    try:
        raises()
    except KeyError as error:
        where = whereabouts(error)
    assert where.startswith("raises (")
    assert "test_worker.py:" in where
    assert "a name" not in where
