"""Connections that are begun and not gone on with: silent, slow, half open."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack, suppress

from bench.attacks.attack import GUEST, Attack, Site, audio_frames, frames_of, repeat, speech_packets
from bench.load.raw_socket import RawSocket, frame, plain_socket, upgrade
from captions.doors.native.messages import Start

__all__ = ["ATTACKS"]

_SOCKETS = 1_000
_HALF_OPEN = 100


async def _silent(site: Site) -> None:
    await _hold(site, [b""] * _SOCKETS)


async def _half_open(site: Site) -> None:
    """Sockets whose other end is as good as gone, though no packet says so, at four moments of a conversation."""
    track = frames_of(Start("attack", "t", "opus")) + audio_frames("t", speech_packets()[:50])
    opening = upgrade(site.url, key=GUEST)
    await _hold(site, [b"GET /v1/str", opening, opening + track, opening + track + b"\x82\xfe\xff"] * _HALF_OPEN)


async def _hold(site: Site, said: list[bytes]) -> None:
    with ExitStack() as stack:
        for number, words in enumerate(said):
            with suppress(OSError):
                one = await asyncio.to_thread(plain_socket, site.url, words, f"127.0.0.{2 + number % 5}")
                stack.callback(one.close)
        await site.until_over()


async def _slow(site: Site) -> None:
    """Opening handshakes, a byte every fifth of a second."""
    request = upgrade(site.url, key=GUEST)
    with ExitStack() as stack:
        sockets = [stack.enter_context(plain_socket(site.url, b"", "127.0.0.2")) for _ in range(_SOCKETS // 2)]
        for one in sockets:
            one.setblocking(False)
        for at in range(len(request)):
            if site.is_over:
                break
            for one in sockets:
                _say(one, request[at : at + 1])
            await asyncio.sleep(0.2)
        await site.until_over()


async def _endless_messages(site: Site) -> None:
    """Messages in pieces, whose last piece never comes."""
    piece = frame(bytes(16_000), 2, final=False)
    more = frame(bytes(16_000), 0, final=False)
    async with site.crowd(_HALF_OPEN) as crowd:
        for one in crowd:
            with suppress(ConnectionError):
                await one.send(piece + more * 60)
        await site.until_over()


async def _empty_pieces(site: Site) -> None:
    """A message in pieces of no bytes: what a server keeps of them is more than what it cost to send them."""
    async with await RawSocket.open(site.url, key=GUEST, source="127.0.0.2") as one:
        with suppress(ConnectionError):
            await one.send(frame(b"", 2, final=False))
        await repeat(site, one, frame(b"", 0, final=False) * 10_000)
    await site.until_over()


def _say(one: socket.socket, said: bytes) -> None:
    with suppress(OSError):
        one.send(said)


ATTACKS = (
    Attack("silent-sockets", "1,000 connections that never ask for anything", _silent),
    Attack("slow-handshakes", "500 handshakes of five bytes a second", _slow),
    Attack("half-open", "400 sockets left half open at four moments", _half_open),
    Attack("empty-pieces", "a message in endlessly many pieces of no bytes", _empty_pieces),
    Attack("endless-messages", "100 messages of a megabyte whose end never comes", _endless_messages),
)
