"""Every route of the server in one table: its path, what serves it, who is admitted, and how it is counted. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias
from urllib.parse import unquote

from captions.doors.kyutai.session import KyutaiSession
from captions.doors.livekit.session import LivekitSession, parse_query
from captions.doors.native.connection import NativeConnection
from captions.doors.service import Service, Write
from captions.server.access import Right
from captions.stream.captions import Participant

__all__ = ["ROUTES", "Door", "Match", "PublishingSession", "Query", "Route", "match"]

Query: TypeAlias = Mapping[str, str]


class PublishingSession(Protocol):
    """A connection that sends audio, whichever its protocol."""

    async def receive(self, payload: bytes | str) -> None: ...

    def finish(self) -> None: ...

    def disconnected(self) -> None: ...


Door: TypeAlias = Callable[[Service, Write, Query], PublishingSession]


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table.

    `path`: `{name}` stands for one part of it. `kind` names what serves the route, and labels it in the metrics.
    `right`: what one has to be granted; None admits anybody. `door` is of routes that are published on. `check` raises
    `ValueError` over a query that does not say what is needed. `is_track`: each connection is a track, so that none is
    let in while there are too many; other clients are told so on an open socket.
    """

    path: str
    kind: str
    right: Right | None = None
    door: Door | None = None
    check: Callable[[Query], object] | None = None
    is_track: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """The route of a path, and the parts of the path that it names."""

    route: Route
    parts: Mapping[str, str]

    @property
    def room(self) -> str | None:
        return self.parts.get("room")


def _native(service: Service, write: Write, _query: Query) -> PublishingSession:
    return NativeConnection(service, write)


def _kyutai(service: Service, write: Write, query: Query) -> PublishingSession:
    who = Participant(id=query.get("participant") or service.new_id(), name=query.get("name", ""))
    return KyutaiSession(service, write, who, query.get("room"))


def _livekit(service: Service, _write: Write, query: Query) -> PublishingSession:
    return LivekitSession(service, parse_query(query))


ROUTES = (
    Route("/v1/stream", "native", Right.PUBLISH, _native),
    Route("/api/asr-streaming", "kyutai", Right.PUBLISH, _kyutai, is_track=True),
    Route("/v1/livekit", "livekit", Right.PUBLISH, _livekit, check=parse_query, is_track=True),
    Route("/v1/rooms/{room}/captions", "watch", Right.WATCH),
    Route("/v1/rooms/{room}/transcript.{form}", "transcript", Right.WATCH),
    Route("/healthz", "health"),
    Route("/readyz", "readiness"),
    Route("/metrics", "metrics"),
    Route("/api/build_info", "build_info"),
    Route("/api/modules_info", "modules_info"),
)


def match(path: str) -> Match | None:
    """The route of a path as it came, its names still percent-encoded."""
    for route in ROUTES:
        parts = _parts(route.path, path)
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
