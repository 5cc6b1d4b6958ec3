"""A server that takes everything and says nothing, as cheaply as can be: what the harness itself can drive.

python -m bench.servers.sink      prints ws://127.0.0.1:PORT and serves until its standard input ends
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from captions.doors.native.messages import SUBPROTOCOL

__all__ = ["main"]


class _Sink(asyncio.Protocol):
    """Answers the handshake; what comes after it is read and forgotten unparsed."""

    def __init__(self) -> None:
        self._handshake: ServerProtocol | None = ServerProtocol(subprotocols=[Subprotocol(SUBPROTOCOL)])
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._handshake is None:
            return
        self._handshake.receive_data(data)
        for event in self._handshake.events_received():
            if isinstance(event, Request):
                self._handshake.send_response(self._handshake.accept(event))
                assert self._transport is not None
                self._transport.writelines(self._handshake.data_to_send())
                self._handshake = None
                return


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Sink, "127.0.0.1", 0)
    print(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def main() -> None:
    parser = argparse.ArgumentParser(description="A server that takes everything and says nothing.")
    parser.add_argument("--core", type=int, help="keep to this processor core")
    core = parser.parse_args().core
    if core is not None:
        os.sched_setaffinity(0, {core})
    asyncio.run(_serve())


if __name__ == "__main__":
    main()
