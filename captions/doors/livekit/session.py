"""One connection of LiveKit Track Egress: raw PCM in binary frames, mute in text frames, who and where in the URL.

https://docs.livekit.io/transport/media/ingress-egress/egress/track/ : "pcm_s16le" at the track's rate, and JSON such as
`{"muted": true}`. Nothing goes back to LiveKit; segments go to the room's watchers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from captions.doors.names import query_as
from captions.doors.published_track import PublishedTrack
from captions.doors.service import Service
from captions.stream.captions import Id, Label, Participant
from captions.stream.codec import Codec
from captions.stream.timeline import Packet

__all__ = ["EgressQuery", "LivekitSession", "parse_query"]

_Rate = Annotated[int, Meta(ge=8_000, le=48_000)]
_Channels = Annotated[int, Meta(ge=1, le=2)]


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
    """One track, fed from LiveKit's frames. Pass every payload to `receive`, then call `disconnected`.

    What is said goes to the room; LiveKit reads nothing.
    """

    def __init__(self, service: Service, query: EgressQuery) -> None:
        self._service = service
        self._track = PublishedTrack(
            service,
            room=query.room,
            name=query.track,
            participant=Participant(id=query.participant or query.track, name=query.name),
            codec=Codec("pcm_s16le", query.sample_rate, query.channels),
            live=True,
        )

    async def receive(self, payload: bytes | str) -> int:
        if isinstance(payload, bytes):
            return not self._track.hear(Packet(payload, self._service.clock()))
        try:
            control = msgspec.json.decode(payload, type=_Control)
        except (msgspec.DecodeError, RecursionError):
            return 1
        if control.muted is True:
            self._track.mute()
        elif control.muted is False:
            self._track.unmute()
        return 1

    def finish(self) -> None:
        self._track.end()

    def disconnected(self) -> None:
        self._track.end()


def parse_query(query: Mapping[str, str]) -> EgressQuery:
    """Who and where, from the URL's query.

    Raises:
        NameProblem: it lacks room or track, or has a value that cannot be.
    """
    return query_as(EgressQuery, query)
