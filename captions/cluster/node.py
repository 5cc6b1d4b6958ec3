"""What a node tells the others of itself, and where it can be reached."""

from __future__ import annotations

import socket

import msgspec
from msgspec import Struct

from captions.config import Config, Role

__all__ = ["Node", "address_of", "read_node"]

_EVERYWHERE = ("0.0.0.0", "::", "")


class Node(Struct, frozen=True):
    """One process. `address`: "ws://host:port", for clients. `fullness`: 0 to 1, of what is fullest.

    `started_at`: in seconds since 1970.
    """

    id: str
    address: str
    role: Role
    model: str
    languages: tuple[str, ...]
    fullness: float
    draining: bool
    tracks: int
    watchers: int
    version: str
    started_at: float

    @property
    def takes_tracks(self) -> bool:
        """Whether it is worth sending a publisher there."""
        return self.role != "watch" and not self.draining and self.fullness < 1.0


_decoder = msgspec.json.Decoder(Node)


def read_node(payload: bytes) -> Node | None:
    """A node as it told of itself, None for what is none: nodes of another version may tell more, or less."""
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def address_of(config: Config, port: int) -> str:
    """Where clients reach this node: as configured, or else where it listens."""
    host = config.server.host
    if host in _EVERYWHERE:
        host = socket.gethostname()
    scheme = "wss" if config.server.tls_cert else "ws"
    return config.cluster.address or f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
