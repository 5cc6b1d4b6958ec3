"""Messages that cost their sender nothing, as fast as a socket takes them."""

from __future__ import annotations

from bench.attacks.attack import Attack, Site, frames_of, repeat
from bench.load.raw_socket import frame
from captions.doors.native.messages import FlushRequest, Mute, Ping, Start, Stop, Unmute

__all__ = ["ATTACKS"]

_START = Start("attack", "t", "opus")
_AT_ONCE = 1_000


async def _mutes(site: Site) -> None:
    async with site.publisher(_START) as one:
        await repeat(site, one, frames_of(Mute("t"), Unmute("t")) * _AT_ONCE)


async def _flushes(site: Site) -> None:
    async with site.publisher(_START) as one:
        await repeat(site, one, frames_of(FlushRequest("t", "f")) * _AT_ONCE)


async def _pings(site: Site) -> None:
    async with site.publisher(_START) as one:
        await repeat(site, one, frames_of(Ping("p", 1.0)) * _AT_ONCE)


async def _unread_pings(site: Site) -> None:
    async with site.publisher(_START, reads=False) as one:
        await repeat(site, one, frames_of(Ping("p", 1.0)) * _AT_ONCE)


async def _websocket_pings(site: Site) -> None:
    async with site.publisher(_START, reads=False) as one:
        await repeat(site, one, frame(bytes(125), 9) * _AT_ONCE)


async def _starts_and_stops(site: Site) -> None:
    async with site.publisher() as one:
        begun = [message for number in range(100) for message in (Start("a", f"t{number}", "opus"), Stop(f"t{number}"))]
        await repeat(site, one, frames_of(*begun))


async def _unknown_types(site: Site) -> None:
    async with site.publisher(_START) as one:
        await repeat(site, one, frame(b"\x81\xa4type\xa4sing") * _AT_ONCE)


ATTACKS = (
    Attack("mutes", "mute and unmute", _mutes),
    Attack("flushes", "flush", _flushes),
    Attack("pings", "ping, and read the answers", _pings),
    Attack("unread-pings", "ping, and read no answer", _unread_pings),
    Attack("websocket-pings", "WebSocket pings, and read no answer", _websocket_pings),
    Attack("starts-and-stops", "tracks that are started and stopped", _starts_and_stops),
    Attack("unknown-types", "messages of a type that there is not", _unknown_types),
)
