"""Places for connections: how many there are, by address and by holder of a key or token, some kept for publishers."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Mapping

from captions.config import LimitsConfig
from captions.doors.grant import Grant

__all__ = ["Admission", "NoPlace", "Place", "address_of"]

_ONE_SITE_BITS = 64
"""Of an IPv6 address: who has one has 2^64 of them (RFC 6177)."""


class NoPlace(Exception):
    """A connection that is one too many. `theirs`: they have too many; else the server is full."""

    def __init__(self, message: str, *, theirs: bool) -> None:
        super().__init__(message)
        self.theirs = theirs


class Place:
    """One connection's. `leave` it when the connection is gone, as often as may be."""

    def __init__(self, admission: Admission, address: str, holder: str, *, watches: bool) -> None:
        self._admission: Admission | None = admission
        self.address = address
        self.holder = holder
        self.watches = watches

    def leave(self) -> None:
        if self._admission is not None:
            self._admission.left(self)
            self._admission = None


class Admission:
    """`enter` for a place."""

    def __init__(self, limits: LimitsConfig) -> None:
        self._limits = limits
        self._most_watchers = max(1, int(limits.connections * limits.watchers_share))
        self._by_address: Counter[str] = Counter()
        self._by_holder: Counter[str] = Counter()
        self._watchers = 0

    @property
    def connections(self) -> int:
        return self._by_address.total()

    @property
    def is_full(self) -> bool:
        """Not even who publishes is let in any more."""
        return self.connections >= self._limits.connections

    @property
    def share(self) -> float:
        """How full the server is of connections, 0 to 1."""
        return self.connections / self._limits.connections

    @property
    def watchers_share(self) -> float:
        """How much of what watchers may take is taken, 0 to 1."""
        return self._watchers / self._most_watchers

    def enter(self, address: str, grant: Grant, *, watches: bool) -> Place:
        """A place for one more connection from an address.

        Raises:
            NoPlace: there is none; the message says why.
        """
        if self._by_address[address] >= self._limits.connections_per_address:
            raise NoPlace("too many connections from this address", theirs=True)
        if grant.connections is not None and self._by_holder[grant.holder] >= grant.connections:
            raise NoPlace("this key or token has all the connections it may", theirs=True)
        if self.is_full or (watches and self._watchers >= self._most_watchers):
            raise NoPlace("the server takes no more connections", theirs=False)
        self._by_address[address] += 1
        self._by_holder[grant.holder] += 1
        self._watchers += watches
        return Place(self, address, grant.holder, watches=watches)

    def left(self, place: Place) -> None:
        """For places to call."""
        _count_down(self._by_address, place.address)
        _count_down(self._by_holder, place.holder)
        self._watchers -= place.watches


def address_of(peer: str, headers: Mapping[str, str], proxies: tuple[str, ...]) -> str:
    """Whose connection it is: the peer's, or whom it speaks for if it is one of our proxies. Of IPv6 the network."""
    forwarded = headers.get("X-Forwarded-For", "") if peer in proxies else ""
    return _site(forwarded.rpartition(",")[2].strip() or peer)


def _site(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, _ONE_SITE_BITS), strict=False))


def _count_down(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
