"""What plain HTTP may order, by POST and DELETE: RTP of a participant to be heard or no more, a session of Gladia's."""

from __future__ import annotations

import re
from collections.abc import Mapping

from captions.doors.gladia import messages as gladia
from captions.doors.gladia.session import open_live
from captions.doors.grant import Grant
from captions.doors.rtp.messages import RtpRequestError, decode, encode
from captions.doors.rtp.session import RtpRefusal, RtpSession
from captions.doors.service import Service
from captions.server.answers import Answers
from captions.server.pages import Page, text
from captions.server.routes import Match, Query, match

__all__ = ["HttpOrders"]

_HOST = re.compile(r"[\w.:\[\]-]{1,255}")
_PLACE = ("room", "participant", "name")


class HttpOrders:
    """`answer` every request that is no GET. `rtp` is None where no port for it is configured.

    `speaks_tls`: the server itself does. A proxy that does so before it has to say so (X-Forwarded-Proto).
    """

    def __init__(self, service: Service, answers: Answers, rtp: RtpSession | None, *, speaks_tls: bool) -> None:
        self._service = service
        self._answers = answers
        self._rtp = rtp
        self._speaks_tls = speaks_tls

    def answer(self, method: str, path: str, query: Query, headers: Mapping[str, str], body: bytes) -> Page:
        found = match(path, method)
        if found is None:
            return text(405 if match(path) is not None else 404, f"{method} is not for this address")
        grant = self._answers.admit(found, query, headers, self._service.wall_clock())
        if isinstance(grant, Page):
            return grant
        if found.route.kind == "gladia_session":
            return self._gladia(path, query, headers, body)
        return self._of_rtp(found, grant, body)

    def _of_rtp(self, found: Match, grant: Grant, body: bytes) -> Page:
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

    def _gladia(self, path: str, query: Query, headers: Mapping[str, str], body: bytes) -> Page:
        """Where the client is to send its audio: to the host that it asked, with its key in a ticket."""
        if self._service.draining or not self._service.slots.make_room():
            return text(503, "the server takes no more connections")
        host = headers.get("Host", "")
        if not _HOST.fullmatch(host):
            return text(400, "the request does not say which host it is for")
        secure = self._speaks_tls or headers.get("X-Forwarded-Proto", "") == "https"
        address = f"{'wss' if secure else 'ws'}://{host}{path}"
        more = {name: query[name] for name in _PLACE if name in query}
        more["token"] = self._answers.ticket(query, headers, self._service.wall_clock())
        try:
            return text(201, gladia.encode(open_live(self._service, body, address, more)), "application/json")
        except gladia.GladiaProtocolError as error:
            return text(400, str(error))
