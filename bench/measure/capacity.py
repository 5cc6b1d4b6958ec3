"""Finding the most tracks a server holds: doubling until it does not, then bisection. Pure but for the trials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Trial", "search"]


@dataclass(frozen=True, slots=True)
class Trial:
    """So many tracks, and whether the server held them."""

    tracks: int
    held: bool


def search(hold: Callable[[int], bool], first: int, most: int, resolution: float = 0.06) -> list[Trial]:
    """Try numbers of tracks, in the order returned, until the limit is known to `resolution` of itself.

    Capacity is the largest that held below the smallest that did not; `hold` is asked at most once for each number.
    """
    trials: list[Trial] = []
    held, failed = 0, most + 1

    def attempt(tracks: int) -> None:
        nonlocal held, failed
        good = hold(tracks)
        trials.append(Trial(tracks, good))
        if good:
            held = max(held, tracks)
        else:
            failed = min(failed, tracks)

    attempt(min(first, most))
    while held and failed > most and held < most:
        attempt(min(2 * held, most))
    while failed - held > max(1, round(resolution * held)) and failed <= most:
        attempt((held + failed) // 2)
    return trials
