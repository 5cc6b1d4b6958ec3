"""The nodes that a client knows of: which it has an open link to, and when the others may be tried again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from captions.client.link import ConnectError, Link, Refused, with_route

__all__ = ["AddressBook", "backoff_s"]

_FIRST_S, _LONGEST_S = 0.2, 5.0
_MOST_NAMED, _MOST_FAILED = 16, 64
"""Of the nodes that servers name: no more is kept of what they say."""


class _Failure(NamedTuple):
    """An address that could not be reached, so many times in a row."""

    times: int
    not_before: float
    error: ConnectError


_NEVER = _Failure(0, 0.0, ConnectError("not tried"))


def backoff_s(failures: int) -> float:
    """How long to wait after so many failures in a row: longer each time, and not all clients for the same time."""
    return float(min(_LONGEST_S, _FIRST_S * 2 ** min(failures, 10)) * random.uniform(0.5, 1.0))


class AddressBook:
    """`reach` gives an open link; say which are `closed` and which `leave`. `home`: the one its user has named.

    `others` are the nodes that a server has named, the best first. `link_to` makes a link to an address, and `opened`
    is called with each that was opened.
    """

    def __init__(self, home: Link, link_to: Callable[[str], Link], opened: Callable[[Link], None]) -> None:
        self.home = home
        self.others: list[str] = []
        self._link_to = link_to
        self._opened = opened
        self._open: dict[str, Link] = {}
        self._leaving: dict[Link, str] = {}
        self._broken: dict[str, Link] = {}
        self._failed: dict[str, _Failure] = {}
        self._opening = asyncio.Lock()

    @property
    def best(self) -> Link | None:
        """A link that is open and stays so: the first one if it is, then any."""
        links = [link for link in self._open.values() if link not in self._leaving]
        return self.home if self.home in links else next(iter(links), None)

    def name(self, nodes: list[str]) -> None:
        """A server names others. That there are none any more is no reason to forget those that there were."""
        self.others = nodes[:_MOST_NAMED] or self.others

    def is_open(self, link: Link) -> bool:
        """Also one that is left: behind the same address there may be another node by now, with a link of its own."""
        return link in self._leaving or self._open.get(link.url) is link

    def open(self, link: Link) -> None:
        """A link was opened; its messages are to be read."""
        self._failed.pop(link.url, None)
        self._open[link.url] = link
        self._opened(link)

    def closed(self, link: Link, *, broken: bool) -> None:
        """A link has ended; `broken`: without a goodbye, so that its session may go on."""
        self._leaving.pop(link, None)
        if self.is_open(link):
            del self._open[link.url]
            if broken and link.has_session:
                self._broken[link.url] = link

    def leave(self, link: Link, node: str = "") -> None:
        """Nothing new is begun on a link, whose node stops; it may have named another one."""
        self._leaving[link] = node or self.named_by(link)

    def is_left(self, link: Link) -> bool:
        return link in self._leaving

    def named_by(self, link: Link) -> str:
        return self._leaving.get(link, "")

    async def reach(self, named: Sequence[str], until: float) -> Link:
        """A link to the first that can be reached: of those named, then of the others, the first one, any that is open.

        Once around at least; then again and again, each address after a while that grows, until a moment of the loop's
        clock. A link that was broken is resumed, if its node is the one that is reached: it is the same then.

        Raises:
            ConnectError: there was none in that time, or none of them will have us.
        """
        loop = asyncio.get_running_loop()
        while True:
            addresses = (*named, *self.others, self.home.url, *self._open)
            wanted = dict.fromkeys(with_route(address, "/v1/stream") for address in addresses if address)
            async with self._opening:
                for address in wanted:
                    if (link := await self._reach_one(address, loop)) is not None:
                        return link
            failed = [self._failed.get(address, _NEVER) for address in wanted]
            if all(isinstance(failure.error, Refused) for failure in failed):
                raise failed[0].error
            again_at = min(failure.not_before for failure in failed)
            if again_at > until:
                raise ConnectError("the server has gone, and no other can be reached")
            await asyncio.sleep(again_at - loop.time())

    async def _reach_one(self, address: str, loop: asyncio.AbstractEventLoop) -> Link | None:
        known = self._open.get(address)
        if known is not None and known not in self._leaving:
            return known
        failed = self._failed.get(address, _NEVER)
        if loop.time() < failed.not_before:
            return None
        broken = self._broken.pop(address, None)
        link = broken or self._link_to(address)
        try:
            await (link.open() if broken is None else link.resume())
        except ConnectError as error:
            if broken is not None:
                self._broken[address] = broken
            self._failed[address] = _Failure(failed.times + 1, loop.time() + backoff_s(failed.times), error)
            while len(self._failed) > _MOST_FAILED:
                del self._failed[next(iter(self._failed))]
            return None
        self.open(link)
        return link
