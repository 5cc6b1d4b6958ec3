"""One WebSocket on the native protocol: begins a session, or goes on with one whose connection was lost."""

from __future__ import annotations

import asyncio

from captions.doors.grant import Grant
from captions.doors.native import messages as native
from captions.doors.native.session import Session
from captions.doors.service import Service, Write

__all__ = ["NativeConnection"]


class NativeConnection:
    """Pass every payload to `receive`, in order; `disconnected` when the socket is gone.

    The first message decides the encoding of the answers, text is JSON and binary MessagePack, and whether it is a new
    session.
    """

    def __init__(self, service: Service, write: Write, grant: Grant) -> None:
        self._service = service
        self._grant = grant
        self._write: Write | None = write
        self._session: Session | None = None

    async def receive(self, payload: bytes | str) -> int:
        if self._session is not None:
            return await self._session.receive(payload) if self._session.is_served_by(self._send) else 1
        encoding: native.Encoding = "json" if isinstance(payload, str) else "msgpack"
        resume = _resume_in(payload, encoding)
        if resume is None:
            self._session = Session(self._service, encoding, self._send, self._grant)
            return await self._session.receive(payload)
        try:
            self._session = self._resumed(resume)
        except native.ProtocolError as error:
            self._service.metrics.errors.labels(code=error.code).inc()
            self._send(native.encode(native.Error(error.code, str(error), fatal=False), encoding))
        return 1

    def finish(self) -> None:
        if self._session is not None:
            self._session.finish()

    def disconnected(self) -> None:
        """The session waits for its client as long as the configuration says, then ends."""
        self._write = None
        session = self._session
        if session is None or not session.is_served_by(self._send):
            return
        detached_at = session.detach()
        wait_s = self._service.limits.resume_s if session.tracks and not self._service.draining else 0.0
        asyncio.get_running_loop().call_later(wait_s, session.give_up, detached_at)

    def _send(self, payload: bytes | str) -> None:
        if self._write is not None:
            self._write(payload)

    def _resumed(self, resume: native.Resume) -> Session:
        session = self._service.sessions.get(resume.session)
        if session is None:
            raise native.ProtocolError("not_resumable", "no such session, or not its secret")
        session.attach(resume, self._send, self._grant)
        return session


def _resume_in(payload: bytes | str, encoding: native.Encoding) -> native.Resume | None:
    try:
        message = native.decode_client(payload.encode() if isinstance(payload, str) else payload, encoding)
    except native.ProtocolError:
        return None
    return message if isinstance(message, native.Resume) else None
