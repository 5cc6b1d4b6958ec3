"""Every route of the server in one table: its path, what serves it, who is admitted, and how it is counted. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias
from urllib.parse import unquote

import msgspec

from captions.config import Role
from captions.doors.deepgram.query import listen_query
from captions.doors.deepgram.session import DeepgramSession
from captions.doors.gladia.messages import live_query
from captions.doors.gladia.session import GladiaSession
from captions.doors.grant import Grant, Right
from captions.doors.jitsi.session import JitsiQuery, JitsiSession
from captions.doors.kyutai import session as kyutai
from captions.doors.livekit import session as livekit
from captions.doors.names import query_as, room_of
from captions.doors.native.connection import NativeConnection
from captions.doors.openai.session import OpenAISession
from captions.doors.place import place_in
from captions.doors.service import Line, Service
from captions.doors.vosk.session import VoskSession

__all__ = ["ROUTES", "Asked", "Door", "Match", "PublishingSession", "Query", "Route", "match"]

Query: TypeAlias = Mapping[str, str]


class PublishingSession(Protocol):
    """A connection that sends audio, whichever its protocol.

    `receive` says how many commands a payload counts for: 0 for audio in time, of which there may be any number.
    """

    async def receive(self, payload: bytes | str) -> int: ...

    def finish(self) -> None: ...

    def disconnected(self) -> None: ...


Door: TypeAlias = Callable[[Service, Line, Query, Grant], PublishingSession]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks to be let into, and as whom; None for what is said later or not at all."""

    room: str | None
    participant: str | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table.

    `path`: `{name}` stands for one part of it. `kind` names what serves the route, and labels it in the metrics.
    `right`: what one has to be granted; None admits anybody. `door` is of routes that are published on. `asked` reads
    the room out of the query where it is said there, and raises `NameProblem` if it is not. `is_track`: each connection
    is a track, so that none is let in while there are too many; other clients are told so on an open socket. `method`:
    by which it is asked for.
    """

    path: str
    kind: str
    right: Right | None = None
    door: Door | None = None
    asked: Callable[[Query], Asked] | None = None
    is_track: bool = False
    method: str = "GET"

    def is_for(self, role: Role) -> bool:
        """Whether a node of this role serves it: audio goes to those with a model, readers to the others."""
        if self.door is not None or self.method != "GET" or self.kind == "modules_info":
            return role != "watch"
        return role != "speech" or self.right != Right.WATCH


@dataclass(frozen=True, slots=True)
class Match:
    """The route of a path, and the parts of the path that it names."""

    route: Route
    parts: Mapping[str, str]

    def asked(self, query: Query) -> Asked:
        """What is asked for.

        Raises:
            NameProblem: a name cannot be, or the query does not say what is needed.
        """
        return Asked(room_of(self.parts.get("room"))) if self.route.asked is None else self.route.asked(query)


def _native(service: Service, line: Line, _query: Query, grant: Grant) -> PublishingSession:
    return NativeConnection(service, line.write, grant)


def _kyutai(service: Service, line: Line, query: Query, grant: Grant) -> PublishingSession:
    place = place_in(query)
    return kyutai.KyutaiSession(service, line.write, place.speaker(service, grant), place.room)


def _vosk(service: Service, line: Line, query: Query, grant: Grant) -> PublishingSession:
    place = place_in(query)
    return VoskSession(service, line, place.speaker(service, grant), place.room)


def _jitsi(service: Service, line: Line, query: Query, grant: Grant) -> PublishingSession:
    return JitsiSession(service, line.write, query_as(JitsiQuery, query), grant)


def _asked_of_jitsi(query: Query) -> Asked:
    return Asked(query_as(JitsiQuery, query).session_id)


def _deepgram(service: Service, line: Line, query: Query, grant: Grant) -> PublishingSession:
    return DeepgramSession(service, line, listen_query(query), place_in(query).speaker(service, grant))


def _asked_of_deepgram(query: Query) -> Asked:
    listen_query(query)
    return _asked_in_query(query)


def _openai(service: Service, line: Line, query: Query, grant: Grant) -> PublishingSession:
    place = place_in(query)
    return OpenAISession(service, line, place.speaker(service, grant), place.room)


def _gladia(service: Service, line: Line, query: Query, grant: Grant) -> PublishingSession:
    place = place_in(query)
    return GladiaSession(service, line, live_query(query), place.speaker(service, grant), place.room)


def _asked_of_gladia(query: Query) -> Asked:
    live_query(query)
    return _asked_in_query(query)


def _asked_in_query(query: Query) -> Asked:
    """Without a room the captions are private: no grant for certain rooms is good for that, as no room is called ""."""
    place = place_in(query)
    return Asked(place.room or "", place.participant)


def _livekit(service: Service, _line: Line, query: Query, grant: Grant) -> PublishingSession:
    egress, who = livekit.parse_query(query), grant.speaks_as
    return livekit.LivekitSession(
        service, egress if who is None else msgspec.structs.replace(egress, participant=who.id, name=who.name)
    )


def _asked_of_livekit(query: Query) -> Asked:
    egress = livekit.parse_query(query)
    return Asked(egress.room, egress.participant)


def _asked_of_all(_query: Query) -> Asked:
    """Nothing that a grant for certain rooms is good for, as no room is called ""."""
    return Asked("")


ROUTES = (
    Route("/v1/stream", "native", Right.PUBLISH, _native),
    Route("/api/asr-streaming", "kyutai", Right.PUBLISH, _kyutai, _asked_in_query, is_track=True),
    Route("/v1/vosk", "vosk", Right.PUBLISH, _vosk, _asked_in_query, is_track=True),
    Route("/v1/jitsi", "jitsi", Right.PUBLISH, _jitsi, _asked_of_jitsi),
    Route("/v1/listen", "deepgram", Right.PUBLISH, _deepgram, _asked_of_deepgram, is_track=True),
    Route("/v1/realtime", "openai", Right.PUBLISH, _openai, _asked_in_query, is_track=True),
    Route("/v2/live", "gladia", Right.PUBLISH, _gladia, _asked_of_gladia, is_track=True),
    Route("/v2/live", "gladia_session", Right.PUBLISH, asked=_asked_in_query, method="POST"),
    Route("/v1/livekit", "livekit", Right.PUBLISH, _livekit, _asked_of_livekit, is_track=True),
    Route("/v1/rtp", "rtp", Right.PUBLISH, method="POST"),
    Route("/v1/rtp/{source}", "rtp_source", Right.PUBLISH, method="DELETE"),
    Route("/v1/rooms", "rooms", Right.PUBLISH),
    Route("/v1/rooms/{room}/captions", "watch", Right.WATCH),
    Route("/v1/rooms/{room}/transcript.{form}", "transcript", Right.WATCH),
    Route("/v1/nodes", "nodes", Right.PUBLISH, asked=_asked_of_all),
    Route("/healthz", "health"),
    Route("/readyz", "readiness"),
    Route("/metrics", "metrics"),
    Route("/api/build_info", "build_info"),
    Route("/api/modules_info", "modules_info"),
)


def match(path: str, method: str = "GET") -> Match | None:
    """The route of a path as it came, its names still percent-encoded."""
    for route in ROUTES:
        parts = _parts(route.path, path) if route.method == method else None
        if parts is not None:
            return Match(route, parts)
    return None


def _parts(pattern: str, path: str) -> dict[str, str] | None:
    wanted, given = pattern.split("/"), path.split("/")
    if len(wanted) != len(given):
        return None
    parts = {}
    for part, value in zip(wanted, given, strict=True):
        literal, brace, name = part.partition("{")
        if not (value.startswith(literal) if brace else value == literal):
            return None
        if brace:
            parts[name.rstrip("}")] = unquote(value.removeprefix(literal))
    return parts if all(parts.values()) else None
