"""What a room says goes to all of its readers as one WebSocket frame, encoded once, without a task for each of them."""

from __future__ import annotations

from functools import lru_cache

from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import State

__all__ = ["write_at_once"]

_KEPT_FRAMES = 4
"""A message goes to all readers of a room before the next one goes to anybody."""


def write_at_once(connection: ServerConnection, payload: str) -> bool:
    """Whether a connection was given a message: not if it is closing, or has not taken yet what it was given before.

    What a server sends is not masked (RFC 6455, 5.1) and here not compressed, so all readers get the same bytes. They
    are a whole frame, so that what websockets writes on the same transport stands before or behind them.
    """
    transport = connection.transport
    if transport.get_write_buffer_size() or connection.protocol.state is not State.OPEN or transport.is_closing():
        return False
    transport.write(_frame_of(payload))
    return True


@lru_cache(_KEPT_FRAMES)
def _frame_of(payload: str) -> bytes:
    return Frame(Opcode.TEXT, payload.encode()).serialize(mask=False)
