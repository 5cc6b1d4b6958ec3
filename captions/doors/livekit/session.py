"""One connection of LiveKit Track Egress: raw PCM in binary frames, mute in text frames, who and where in the URL.

https://docs.livekit.io/transport/media/ingress-egress/egress/track/ : "pcm_s16le" at the track's rate, and JSON such as
`{"muted": true}`. Nothing goes back to LiveKit; segments go to the room's watchers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from captions.doors.native import messages as native
from captions.doors.native.session import Service, Session
from captions.stream.captions import Id, Label

__all__ = ["EgressError", "EgressQuery", "LivekitSession", "parse_query"]

_Rate = Annotated[int, Meta(ge=8_000, le=48_000)]
_Channels = Annotated[int, Meta(ge=1, le=2)]


class EgressError(Exception):
    """A query that does not say what is needed; the message names the parameter."""


class EgressQuery(Struct, frozen=True):
    """Who and where: LiveKit is told to call `/v1/livekit?room=R&track=T&participant=ID&name=NAME`."""

    room: Id
    track: Id
    participant: Id | None = None
    name: Label = ""
    sample_rate: _Rate = 48_000
    channels: _Channels = 1


class _Control(Struct, frozen=True):
    muted: bool | None = None


class LivekitSession:
    """A native session with one track, fed from LiveKit's frames. `receive` every payload, then `disconnected`."""

    def __init__(self, service: Service, query: EgressQuery) -> None:
        self._track = query.track
        self._session = Session(service, "json", lambda _payload: None)
        participant = native.Participant(id=query.participant or query.track, name=query.name)
        self._start: native.Start | None = native.Start(
            query.room, query.track, "pcm_s16le", participant, query.sample_rate, query.channels
        )

    async def receive(self, payload: bytes | str) -> None:
        if self._start is not None:
            await self._session.obey(self._start)
            self._start = None
        if isinstance(payload, bytes):
            await self._session.obey(native.Audio(self._track, payload))
            return
        try:
            control = msgspec.json.decode(payload, type=_Control)
        except (msgspec.DecodeError, RecursionError):
            return
        if control.muted is not None:
            message = native.Mute(self._track) if control.muted else native.Unmute(self._track)
            await self._session.obey(message)

    def finish(self) -> None:
        self._session.finish()

    def disconnected(self) -> None:
        self._session.detach()
        self._session.finish()


def parse_query(query: Mapping[str, str]) -> EgressQuery:
    """Who and where, from the URL's query.

    Raises:
        EgressError: it lacks room or track, or has a value that cannot be.
    """
    try:
        return msgspec.convert(dict(query), EgressQuery, strict=False)
    except msgspec.ValidationError as error:
        raise EgressError(str(error)) from None
