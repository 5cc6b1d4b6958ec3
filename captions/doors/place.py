"""Who and where, as an address says it for protocols whose messages say nothing of either."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from captions.doors.grant import Grant
from captions.doors.names import query_as
from captions.doors.service import Service
from captions.stream.captions import Id, Label, Participant

__all__ = ["Place", "place_in"]


class Place(Struct, frozen=True):
    """`?room=R&participant=ID&name=NAME`, each of which may be left out: without a room the captions are private."""

    room: Id | None = None
    participant: Id | None = None
    name: Label = ""

    def speaker(self, service: Service, grant: Grant) -> Participant:
        """Who speaks there: whom the grant names, else whom the address does, else somebody new."""
        return grant.speaks_as or Participant(self.participant or service.new_id(), self.name)


def place_in(query: Mapping[str, str]) -> Place:
    """Who and where, from the URL's query.

    Raises:
        NameProblem: it has an id or a name that cannot be.
    """
    return query_as(Place, query)
