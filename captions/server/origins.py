"""Which web pages may ask a server for what is said: a browser connects to whatever any page tells it to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import SplitResult, urlsplit

from captions.config import Config, is_loopback
from captions.server.pages import Page

__all__ = ["Origins"]


class Origins:
    """`refuse` what a page asks for that is not on this server's list.

    Programs send no `Origin`, and need only be let in by their key. A server without keys listens on loopback, where
    any page that a browser on this machine shows can reach it. So only pages from this machine are let in there, and
    only under a name of this machine: a name of its own that a page has pointed to 127.0.0.1 would make it one.
    """

    def __init__(self, config: Config) -> None:
        self._open = config.is_open
        self._listed = frozenset(origin.lower() for origin in config.server.origins)

    def refuse(self, headers: Mapping[str, str]) -> str | None:
        """Why a request with these headers may not pass, None if it may."""
        host, origin = headers.get("Host", "").lower(), headers.get("Origin", "").lower()
        if self._open and not _is_local(f"//{host}"):
            return "without keys, this server is for its own machine: ask for localhost"
        if origin and not self._admits(origin, host):
            return "pages of this origin may not"
        return None

    def share(self, page: Page, headers: Mapping[str, str]) -> Page:
        """A page with which a browser lets the web page do what it wants that asked for it, and was not refused."""
        origin = headers.get("Origin")
        if origin is None:
            return page
        shared = (
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Expose-Headers", "Captions-Forgotten"),
            ("Vary", "Origin"),
        )
        return replace(page, headers=(*page.headers, *shared))

    def _admits(self, origin: str, host: str) -> bool:
        if self._open:
            return _is_local(origin)
        split = _split(origin)
        is_ours = split is not None and bool(host) and split.netloc == host
        return is_ours or origin in self._listed or "*" in self._listed


def _is_local(url: str) -> bool:
    split = _split(url)
    return split is not None and is_loopback(split.hostname or "")


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None
