"""A server in virtual time: words come of it and nothing is left over."""

from __future__ import annotations

from bench.virtual import soak


async def test_people_come_and_go_and_are_captioned() -> None:
    health = await soak(minutes=1, callers=2, seed=1, every_s=20.0)
    assert [round(one.at_s) for one in health] == [0, 20, 40, 60]
    assert health[-1].words > 10
    assert health[-1].segments > 2
    assert len({one.tasks for one in health}) == 1
    assert all(one.tracks <= 4 for one in health)
