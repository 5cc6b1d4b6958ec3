"""When a client's `Marker` goes back: once everything before it is transcribed.

In silence its track is flushed, which costs nothing. While somebody speaks a flush would close the word under way and
feed silence into the sentence. So a marker then waits, as on Kyutai's server, until the audio before it and the model's
delay have been stepped:

    asked -> flush          the audio before it was heard, and nobody speaks
    asked -> counting       it was heard, and somebody speaks
    counting -> answered    that audio and the delay are through, or the spurt is over and all its words are out
    counting -> flush       no more audio comes, so that nothing would be stepped
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MOST_MARKERS", "Markers", "TooManyMarkers"]

MOST_MARKERS = 100
"""That may wait at once; no known client has two."""


class TooManyMarkers(ValueError):
    """A client asks faster than it is answered."""


@dataclass(slots=True)
class _Marker:
    id: int
    at: int
    counting: bool = False


class Markers:
    """The markers of one track that were not answered yet, in order. `delay_samples`: of the model.

    Each method returns the ids of those that are to be flushed or answered now, and forgets them.
    """

    def __init__(self, delay_samples: int) -> None:
        self._delay_samples = delay_samples
        self._waiting: list[_Marker] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def ask(self, marker_id: int, at: int) -> None:
        """A marker behind the first `at` samples. Call `heard` with it.

        Raises:
            TooManyMarkers: it is not taken.
        """
        if len(self._waiting) >= MOST_MARKERS:
            raise TooManyMarkers(f"{MOST_MARKERS} markers wait already")
        self._waiting.append(_Marker(marker_id, at))

    def heard(self, taken: int, speaking: bool) -> list[int]:
        """The listener has taken `taken` samples in, and somebody is `speaking` there: what to flush."""
        new = [marker for marker in self._waiting if not marker.counting and marker.at <= taken]
        if not speaking:
            return self._forget(new)
        for marker in new:
            marker.counting = True
        return []

    def stepped(self, to: int) -> list[int]:
        """The model has stepped through the first `to` samples, and its words were sent: what to answer."""
        return self._forget([m for m in self._waiting if m.counting and m.at + self._delay_samples <= to])

    def spurt_over(self) -> list[int]:
        """Nobody speaks any more, and all words are out: what to answer."""
        return self._forget([marker for marker in self._waiting if marker.counting])

    def audio_stopped(self) -> list[int]:
        """Nothing has come for a while: what to flush."""
        return self.spurt_over()

    def _forget(self, done: list[_Marker]) -> list[int]:
        self._waiting = [marker for marker in self._waiting if marker not in done]
        return [marker.id for marker in done]
