"""Connections that have not asked for anything yet: whoever opens many and is silent makes only their own go."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

__all__ = ["Doorstep"]


class Doorstep:
    """A connection `arrives`, with a way to `close` it, and is `gone` once it was let in, answered or lost.

    Past `most` the one that has stood there longest goes, of the address that has most there: an honest one stands
    there for some milliseconds.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._standing: dict[str, OrderedDict[object, Callable[[], None]]] = {}
        self._addresses: dict[object, str] = {}

    @property
    def share(self) -> float:
        """How full it is, 0 to 1."""
        return len(self._addresses) / self._most

    def arrives(self, address: str, connection: object, close: Callable[[], None]) -> None:
        if len(self._addresses) >= self._most:
            self._turn_away()
        self._standing.setdefault(address, OrderedDict())[connection] = close
        self._addresses[connection] = address

    def gone(self, connection: object) -> None:
        """Of a connection that is gone already there is nothing to do."""
        address = self._addresses.pop(connection, None)
        if address is not None:
            del self._standing[address][connection]
            if not self._standing[address]:
                del self._standing[address]

    def _turn_away(self) -> None:
        address = max(self._standing, key=lambda one: len(self._standing[one]))
        connection, close = next(iter(self._standing[address].items()))
        self.gone(connection)
        close()
