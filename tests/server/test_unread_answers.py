"""Plain HTTP answers that nobody reads: bounded together, and the small ones are always given."""

from __future__ import annotations

import asyncio

from captions.server.unread_answers import UnreadAnswers
from tests.server.harness import serving

LARGE = 100_000


def test_large_answers_are_bounded_together_and_small_ones_never_refused() -> None:
    answers = UnreadAnswers(2 * LARGE)
    one, two = answers.admit(LARGE), answers.admit(LARGE)
    assert one is not None
    assert two is not None
    assert answers.admit(LARGE) is None
    assert answers.admit(100) is not None
    one.gone()
    one.gone()
    assert answers.unread_bytes == LARGE
    assert answers.admit(LARGE) is not None


async def test_who_does_not_read_the_sample_keeps_nobody_from_asking_for_health() -> None:
    async with serving(limits={"answer_bytes": 4_000_000}) as served:
        unread = [await asyncio.open_connection("127.0.0.1", served.server.port) for _ in range(8)]
        for _, writer in unread:
            writer.write(b"GET /overlay/two_cities.wav HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        heads = [await reader.readline() for reader, _ in unread]
        assert b"HTTP/1.1 503 Service Unavailable\r\n" in heads
        assert await served.get("/healthz") == (200, "ok")
        for _, writer in unread:
            writer.transport.abort()
