"""Somebody who comes while the attack goes on, and wants captions too."""

from __future__ import annotations

import asyncio
import time

from bench.attacks.attack import FRIEND, speech_packets
from captions.client import Client, ConnectError
from captions.doors.native.messages import Error, Segment
from captions.stream.opus import OPUS_CLOCK

__all__ = ["served_after_s"]

_SPEAKS_S = 4.0


async def served_after_s(url: str, patience_s: float) -> float | None:
    """How long it took from coming to the first word of theirs, spoken at once; None for never."""
    came_at = time.monotonic()
    try:
        async with asyncio.timeout(patience_s), Client(url, FRIEND) as client:
            await client.start("newcomers", "newcomer", "opus", OPUS_CLOCK)
            talking = asyncio.create_task(_talk(client))
            try:
                async for message in client:
                    if isinstance(message, Segment) and message.words:
                        return time.monotonic() - came_at
                    if isinstance(message, Error):
                        return None
            finally:
                talking.cancel()
    except (ConnectError, TimeoutError):
        pass
    return None


async def _talk(client: Client) -> None:
    began_at = time.monotonic()
    for number, packet in enumerate(speech_packets()[: int(_SPEAKS_S / 0.02)]):
        await asyncio.sleep(max(0.0, began_at + number * 0.02 - time.monotonic()))
        await client.audio("newcomer", packet)
