"""How full a server is, of everything that it has only so much of."""

from __future__ import annotations

from captions.doors.service import Service
from captions.server.admission import Admission
from captions.server.doorstep import Doorstep
from captions.server.unread_answers import UnreadAnswers

__all__ = ["Fullness"]


class Fullness:
    """`shares` by what there is of it; `worst` is the figure that load balancers go by."""

    def __init__(self, service: Service, admission: Admission, doorstep: Doorstep, unread: UnreadAnswers) -> None:
        self._service = service
        self._admission = admission
        self._doorstep = doorstep
        self._unread = unread

    def shares(self) -> dict[str, float]:
        """0 to 1 each."""
        return {
            "tracks": self._service.slots.share,
            "lanes": self._service.engine.lanes_share,
            "connections": self._admission.share,
            "watchers": self._admission.watchers_share,
            "handshakes": self._doorstep.share,
            "waiting_bytes": self._service.waiting.share,
            "answer_bytes": self._unread.share,
        }

    def worst(self) -> float:
        return max(self.shares().values())

    @property
    def takes_publishers(self) -> bool:
        """Whether somebody who publishes would be let in and could begin a track."""
        return self._service.slots.can_take and not self._admission.is_full
