"""A server in virtual time: words come of it and nothing is left over."""

from __future__ import annotations

from bench.virtual.server import soak


async def test_people_come_and_go_and_are_captioned() -> None:
    health = await soak(seconds=40, callers=3, seed=3, every_s=10.0)
    assert [round(one.at_s) for one in health] == [0, 10, 20, 30, 40]
    assert health[-1].words > 50
    assert health[-1].segments > 5
    assert len({one.tasks for one in health}) == 1
    assert all(one.tracks <= 6 for one in health)
