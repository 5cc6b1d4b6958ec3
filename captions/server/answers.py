"""What plain HTTP gets: pages, health, metrics and transcripts, and the refusal of a WebSocket that may not pass."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from captions import __version__
from captions.cluster.nodes import Nodes
from captions.config import Config
from captions.doors.grant import NOTHING, Grant, Right
from captions.doors.names import NameProblem, since_in
from captions.doors.service import Service
from captions.rooms.rooms import RoomsAway
from captions.server.access import Access, key_in
from captions.server.admission import Admission, NoPlace, Place
from captions.server.fullness import Fullness
from captions.server.origins import Origins
from captions.server.pages import Page, Pages, text, transcript
from captions.server.routes import Match, Query, match
from captions.server.tickets import Tickets

__all__ = ["Answers", "LetIn"]

_NO_KEY = "a key or token that is good for this is needed: Authorization: Bearer KEY, or ?key=KEY"
"""Said to whoever may not, for whatever reason: who is told which, learns what others may."""

_MOST_TRANSCRIPTS_WANTED = 10
"""A long one takes half a second; so the last of them comes within the time that a connection has to be answered in."""


@dataclass(frozen=True, slots=True)
class LetIn:
    """What a WebSocket may do that may pass, and its place, which has to be left when the connection is gone."""

    grant: Grant
    place: Place


class Answers:
    """`answer` every request by the route table, before its WebSocket is let in."""

    def __init__(
        self, config: Config, service: Service, admission: Admission, fullness: Fullness, nodes: Nodes
    ) -> None:
        self._limits = config.limits
        self._role = config.cluster.role
        self._nodes = nodes
        self._service = service
        self._admission = admission
        self._fullness = fullness
        self._pages = Pages()
        self._one_transcript = asyncio.Semaphore(1)
        self._transcripts_wanted = 0
        self.read_again(config)

    def read_again(self, config: Config) -> None:
        """Go by other keys, issuers of tokens and origins from here on.

        Raises:
            ConfigError: an issuer's public key cannot be read; all stays as it was.
        """
        self._access, self._origins = Access(config), Origins(config)
        self._tickets = Tickets(config)

    def still_grants(self, grant: Grant) -> bool:
        """Whether what was granted once would be granted again."""
        return self._access.still_grants(grant)

    async def answer(
        self, path: str, query: Query, headers: Mapping[str, str], address: str, now: float
    ) -> Page | LetIn:
        """The answer to a request, or what a WebSocket may do that may pass.

        `address`: whose request it is. `now`: seconds since 1970.
        """
        found = match(path)
        if found is None:
            page = self._pages.answer(path, headers.get("If-None-Match", "")) if self._role != "speech" else None
            return page or text(404, "not found")
        admitted = self.admit(found, query, headers, now)
        if isinstance(admitted, Page):
            return admitted
        if found.route.kind == "transcript":
            return self._origins.share(await self._transcript(found, query), headers)
        if found.route.kind == "rooms":
            return self._rooms(admitted)
        return self._plain(found, query) or self._place(found, admitted, address)

    def admit(self, found: Match, query: Query, headers: Mapping[str, str], now: float) -> Page | Grant:
        """What a request may do, or why it may not pass."""
        route = found.route
        if not route.is_for(self._role):
            return text(404, f"not at this node: its role is {self._role!r}")
        if route.right is None:
            return NOTHING
        wrong_page = self._origins.refuse(headers)
        if wrong_page is not None:
            self._service.metrics.errors.labels(code="forbidden").inc()
            return text(403, wrong_page)
        try:
            asked = found.asked(query)
        except NameProblem as error:
            return text(400, str(error))
        key = key_in(headers, query) or self._tickets.open(query.get("token", ""), now)
        grant = self._access.grant(key, now)
        if grant is None or not grant.allows(route.right, asked.room, asked.participant):
            self._service.metrics.errors.labels(code="unauthorized").inc()
            return text(401, _NO_KEY)
        return grant

    def ticket(self, query: Query, headers: Mapping[str, str], now: float) -> str:
        """The key or token of a request, sealed for an address in which its client comes back."""
        return self._tickets.seal(key_in(headers, query), now)

    async def _transcript(self, found: Match, query: Query) -> Page:
        """Made on a thread, one at a time: a whole one takes tens of milliseconds, in which no word would go out."""
        if self._transcripts_wanted >= _MOST_TRANSCRIPTS_WANTED:
            return text(503, "too many transcripts are asked for: try again")
        self._transcripts_wanted += 1
        try:
            async with self._one_transcript:
                kept = await self._service.rooms.transcript(found.parts["room"])
                if kept is None:
                    return text(404, "this server keeps no transcripts: rooms.transcript_segments")
                form, lang = found.parts["form"], query.get("lang", "en")
                words = query.get("words") != "false"
                page = await asyncio.to_thread(transcript, kept, form, lang, words=words)
                return page or text(404, "not found")
        except RoomsAway as error:
            return text(503, f"try again: {error}")
        finally:
            self._transcripts_wanted -= 1

    def _rooms(self, grant: Grant) -> Page:
        """The rooms of this node that somebody may publish in."""
        rooms = self._service.rooms.census(self._service.clock())
        mine = [room for room in rooms if grant.allows(Right.PUBLISH, room.name)]
        return text(200, msgspec.json.encode(mine).decode(), "application/json")

    def _plain(self, found: Match, query: Query) -> Page | None:
        """What plain HTTP gets; None lets a WebSocket through."""
        match found.route.kind:
            case "health":
                return text(200, "ok") if self._failure is None else text(503, self._failure)
            case "readiness":
                return self._readiness()
            case "metrics":
                return text(200, self._exposition(), "text/plain; version=0.0.4")
            case "nodes":
                return text(200, msgspec.json.encode(self._nodes.all()).decode(), "application/json")
            case "build_info" | "modules_info" as what:
                return text(200, json.dumps(self._kyutai_info(what)), "application/json")
            case "watch":
                try:
                    since_in(query)
                except NameProblem as error:
                    return text(400, str(error))
        return None

    def _place(self, found: Match, grant: Grant, address: str) -> Page | LetIn:
        """A place for a WebSocket, or why there is none."""
        route = found.route
        if (
            self._service.draining
            or self._failure is not None
            or (route.is_track and not self._service.slots.make_room())
        ):
            return text(503, "the server takes no more connections")
        try:
            return LetIn(grant, self._admission.enter(address, grant, watches=route.door is None))
        except NoPlace as error:
            self._service.metrics.errors.labels(code="too_many_connections").inc()
            return text(429 if error.theirs else 503, str(error))

    @property
    def _failure(self) -> str | None:
        """Why only a restart helps, in a word."""
        failure = self._service.engine.failure
        return failure.word if failure is not None else "rooms_failed" if self._service.rooms.failed else None

    def _readiness(self) -> Page:
        if self._failure is not None:
            return text(503, self._failure)
        if not self._service.engine.is_warm:
            return text(503, "not ready")
        if self._service.draining:
            return text(503, "draining")
        if self._role == "watch" and not self._service.rooms.is_up:
            return text(503, "Redis cannot be reached")
        return text(200 if self._fullness.takes_publishers else 503, f"{self._fullness.worst():.0%} full")

    def _exposition(self) -> str:
        metrics = self._service.metrics
        for limit, share in self._fullness.shares().items():
            metrics.limit_used.labels(limit=limit).set(share)
        metrics.bus_up.set(self._service.rooms.is_up)
        metrics.fullness.set(self._fullness.worst())
        return metrics.exposition().decode()

    def _kyutai_info(self, what: str) -> object:
        """What Kyutai's server answers there, as far as it has a meaning here."""
        if what == "build_info":
            return {"git_describe": f"captions {__version__}", "rustc_version": ""}
        name = self._service.engine.info.name
        module = {
            "type": "batched_asr",
            "path": "/api/asr-streaming",
            "lm": name,
            "audio_tokenizer": name,
            "used_slots": str(self._service.engine.tracks),
            "total_slots": str(self._limits.tracks),
        }
        return [module]
