"""The UDP port that RTP comes in on.

asyncio's own datagram transport takes one datagram a turn of the event loop, which costs more than the datagram. Here a
turn takes as many as have come, up to a bound, so that nobody else waits for long; and when it has taken all, more are
let gather, as our own client does.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any

from captions.config import ConfigError, RtpConfig
from captions.doors.rtp.session import RtpSession
from captions.doors.service import Service

__all__ = ["RtpPort"]

_LAST_PORT = 65_535
_MOST_A_TURN = 256
_GATHER_S = 0.02
_SHORT_GATHER_S = 0.005
"""For a small buffer of the kernel, which thousands of packets a second would fill in 20 ms."""
_MOST_BYTES = 2_048
"""Of a datagram: RTP's are cut to fit one frame of the link."""
_BUFFER_BYTES = 4 << 20
"""Of the kernel, which gives as much as it may: what comes while the event loop is busy."""


class RtpPort:
    """`start` on the event loop; each datagram goes to `session`. `stop` closes the port.

    Raises:
        ConfigError: `rtp.listen` is no address, or not one of this machine's that is free.
    """

    def __init__(self, config: RtpConfig, service: Service) -> None:
        self._udp = _bound(config.listen)
        has_all = self._udp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= _BUFFER_BYTES
        self._gather_s = _GATHER_S if has_all else _SHORT_GATHER_S
        self._clock = service.clock
        self._later: asyncio.TimerHandle | None = None
        host, port = self._udp.getsockname()[:2]
        self.session = RtpSession(service, (config.announce or host, port), config.forget_after_s)

    def start(self) -> None:
        self._later = None
        asyncio.get_running_loop().add_reader(self._udp, self._read)

    def stop(self) -> None:
        """As often as may be."""
        if self._udp.fileno() < 0:
            return
        if self._later is not None:
            self._later.cancel()
        asyncio.get_running_loop().remove_reader(self._udp)
        self._udp.close()

    def _read(self) -> None:
        """Take all, and only then hear them: the first one heard wakes the listener's thread, which would go on in
        place of this one at every call of the kernel.
        """
        taken: list[tuple[bytes, Any]] = []
        with suppress(OSError):
            while len(taken) < _MOST_A_TURN:
                taken.append(self._udp.recvfrom(_MOST_BYTES))
        now = self._clock()
        for datagram, address in taken:
            self.session.received(datagram, address[:2], now)
        if len(taken) < _MOST_A_TURN:
            self._wait()

    def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._udp)
        self._later = loop.call_later(self._gather_s, self.start)


def _bound(listen: str) -> socket.socket:
    host, _, port = listen.rpartition(":")
    try:
        if not 0 <= int(port) <= _LAST_PORT:
            raise ValueError("no port has that number")
        family, _, _, _, address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)[0]
        udp = socket.socket(family, socket.SOCK_DGRAM)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        udp.bind(address)
    except (OSError, ValueError, OverflowError) as error:
        raise ConfigError(f"rtp.listen: cannot listen on {listen!r}: {error}") from None
    udp.setblocking(False)
    return udp
