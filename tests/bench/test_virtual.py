"""A server in virtual time: words come of it and nothing is left over."""

from __future__ import annotations

from bench.virtual import soak


async def test_people_come_and_go_and_are_captioned() -> None:
    health = await soak(seconds=30, callers=2, seed=1, every_s=10.0)
    assert [round(one.at_s) for one in health] == [0, 10, 20, 30]
    assert health[-1].words > 5
    assert health[-1].segments > 0
    assert len({one.tasks for one in health}) == 1
    assert all(one.tracks <= 4 for one in health)
