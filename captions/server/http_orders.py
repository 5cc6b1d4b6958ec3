"""What plain HTTP may order, by POST and DELETE: RTP of a participant to be heard, or no more."""

from __future__ import annotations

from collections.abc import Mapping

from captions.doors.rtp.messages import RtpRequestError, decode, encode
from captions.doors.rtp.session import RtpRefusal, RtpSession
from captions.doors.service import Service
from captions.server.answers import Answers
from captions.server.pages import Page, text
from captions.server.routes import Query, match

__all__ = ["HttpOrders"]


class HttpOrders:
    """`answer` every request that is no GET. `rtp` is None where no port for it is configured."""

    def __init__(self, service: Service, answers: Answers, rtp: RtpSession | None) -> None:
        self._service = service
        self._answers = answers
        self._rtp = rtp

    def answer(self, method: str, path: str, query: Query, headers: Mapping[str, str], body: bytes) -> Page:
        found = match(path, method)
        if found is None:
            return text(405 if match(path) is not None else 404, f"{method} is not for this address")
        grant = self._answers.admit(found, query, headers, self._service.wall_clock())
        if isinstance(grant, Page):
            return grant
        if self._rtp is None:
            return text(404, "this server takes no RTP: rtp.listen")
        try:
            if found.route.kind == "rtp":
                return text(201, encode(self._rtp.open(decode(body), grant)), "application/json")
            self._rtp.close(found.parts["source"], grant)
        except RtpRequestError as error:
            return text(400, str(error))
        except RtpRefusal as refusal:
            return text(refusal.status, str(refusal))
        return text(200, "gone")
