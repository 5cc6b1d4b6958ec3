"""What every protocol's client is to the harness: payloads out, payloads in, observations from them. Sans-I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from bench.load.clips import AudioFormat
from bench.measure.events import Observation

__all__ = ["LINGERS_S", "Dialect", "DuePacket", "Payload", "with_route"]

Payload: TypeAlias = bytes | str
"""A WebSocket frame: binary or text."""


LINGERS_S = 3.0
"""More than a flush and a final segment take, of a server that is not overloaded."""


@dataclass(frozen=True, slots=True)
class DuePacket:
    """Packet `number` of a track, counted from 0.

    Its first sample was captured at `captured_at`; `level` is its loudness in -dBov (RFC 6464), where that is told.
    """

    track: str
    number: int
    data: bytes
    captured_at: float = 0.0
    level: int | None = None


class Dialect(Protocol):
    """One connection that carries `tracks`.

    Connect to `url` with `headers` and `subprotocols`; send what `opening` gives; then packets as `audio`, and
    `finishing` when a track has had its last. Pass every payload that arrives to `receive`, until each track is `Done`.
    Where `padding` is not None, the server works only while audio comes: send `padding` in real time between
    `finishing` and `Done`. `lingers_s`: of a protocol that never says that it has said all, after how long it has.
    """

    url: str
    headers: Mapping[str, str]
    subprotocols: Sequence[str]
    audio_format: AudioFormat
    padding: bytes | None
    lingers_s: float

    def opening(self) -> list[Payload]: ...

    def audio(self, packets: Sequence[DuePacket]) -> list[Payload]:
        """Packets that are due at one moment: a payload each, unless the protocol can carry many in one."""

    def finishing(self, track: str) -> list[Payload]: ...

    def receive(self, payload: Payload, at: float) -> list[Observation]:
        """What a payload that arrived at `at` says.

        Raises:
            ValueError: it is not of this protocol.
        """


def with_route(url: str, route: str) -> str:
    """A server's address with its route, unless it has one."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host}{slash}{path}" if path else f"{scheme}{separator}{host}{route}"
