"""How full a server is, of everything that it has only so much of, and of time.

A server that is late with the tracks it has takes no more, so that whoever is in keeps their captions. Its event loop
or its hearing is late by `limits.late_s`, on average over the last seconds, or its model is: steps take longer than a
frame, and frames wait for them. It takes tracks again when it is well below that, not at the same mark, as whoever was
refused comes back at once. A server without tracks is never late with them.
"""

from __future__ import annotations

from captions.doors.service import Service
from captions.engine.lateness import Lateness
from captions.server.admission import Admission
from captions.server.doorstep import Doorstep
from captions.server.unread_answers import UnreadAnswers

__all__ = ["Fullness"]

_LATE = 0.95
_IN_TIME_AGAIN = 0.7
_NEARLY = 0.99
"""How full a server is at most by its lateness while it takes tracks: at 1 nobody is sent to it."""


class Fullness:
    """`shares` by what there is of it; `worst` is the figure that load balancers go by. `look` now and then."""

    def __init__(self, service: Service, admission: Admission, doorstep: Doorstep, unread: UnreadAnswers) -> None:
        self._service = service
        self._admission = admission
        self._doorstep = doorstep
        self._unread = unread
        self._loop = Lateness()

    def look(self, loop_late_s: float) -> None:
        """The event loop did something so much later than it was to; see whether the server takes more tracks."""
        self._loop.saw(max(0.0, loop_late_s), self._service.clock())
        mark = _IN_TIME_AGAIN if self._service.is_late else _LATE
        self._service.is_late = self._service.engine.tracks > 0 and max(self._late_shares().values()) >= mark

    def shares(self) -> dict[str, float]:
        """0 to 1 each."""
        return self._counted_shares() | self._late_shares()

    def worst(self) -> float:
        """1 while the server is too late to take tracks."""
        if self._service.is_late:
            return 1.0
        return max(*self._counted_shares().values(), min(_NEARLY, max(self._late_shares().values())))

    def _counted_shares(self) -> dict[str, float]:
        return {
            "tracks": self._service.slots.share,
            "lanes": self._service.engine.lanes_share,
            "connections": self._admission.share,
            "watchers": self._admission.watchers_share,
            "handshakes": self._doorstep.share,
            "waiting_bytes": self._service.waiting.share,
            "answer_bytes": self._unread.share,
        }

    @property
    def takes_publishers(self) -> bool:
        """Whether somebody who publishes would be let in and could begin a track."""
        return self._service.slots.can_take and not self._admission.is_full

    def _late_shares(self) -> dict[str, float]:
        engine, late_s = self._service.engine, self._service.limits.late_s
        return {
            "loop": min(1.0, self._loop.recent(self._service.clock()) / late_s),
            "listener": min(1.0, engine.listener_late_s() / late_s),
            "model": engine.model_strain(),
        }
