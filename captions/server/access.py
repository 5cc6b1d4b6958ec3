"""Who may do what: the key that a request carries, and what it grants."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Flag, auto

from captions.config import KeysConfig

__all__ = ["Access", "Grant", "Right", "key_in"]


class Right(Flag):
    """What one may do in a room."""

    WATCH = auto()
    PUBLISH = auto()


@dataclass(frozen=True, slots=True)
class Grant:
    """What somebody may do: `who` it is, as a log may say it, and the `rights` in which `rooms`, None for all."""

    who: str
    rooms: frozenset[str] | None
    rights: Right

    def allows(self, right: Right, room: str | None) -> bool:
        """Whether the right is granted in a room; None stands for one that is named later."""
        return right in self.rights and (self.rooms is None or room in self.rooms)


_ANYBODY = Grant("anybody", None, Right.WATCH | Right.PUBLISH)
_PUBLISHER = Grant("publisher", None, Right.WATCH | Right.PUBLISH)
_WATCHER = Grant("watcher", None, Right.WATCH)


class Access:
    """The configured keys. Without any, everybody may do everything; the server then listens on loopback only."""

    def __init__(self, keys: KeysConfig) -> None:
        self._open = not keys.publish
        self._grants = [(key.encode(), _PUBLISHER) for key in keys.publish]
        self._grants += [(key.encode(), _WATCHER) for key in keys.watch]

    def grant(self, key: str) -> Grant | None:
        """What a key grants, None for nothing. Takes as long for a key that is nearly right as for any other."""
        if self._open:
            return _ANYBODY
        given, found = key.encode(), None
        for known, grant in self._grants:
            if hmac.compare_digest(given, known) and found is None:
                found = grant
        return found


def key_in(headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    """The key a request carries: as a bearer token, or in the query where headers cannot be set (browsers).

    Clients of Kyutai's server have their own header and parameter for it.
    """
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return headers.get("kyutai-api-key") or query.get("key") or query.get("auth_id") or ""
