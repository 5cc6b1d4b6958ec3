"""Bytes that are not what they say they are, in every format that is read here."""

from __future__ import annotations

import random

import msgspec

from bench.attacks.attack import GUEST, Attack, Site, frames_of, repeat, speech_packets
from bench.load.raw_socket import RawSocket, frame
from captions.doors.native.messages import Audio, Start

__all__ = ["ATTACKS"]

_DEPTH = 100_000
_RANDOM = random.Random(14)


async def _json(site: Site) -> None:
    bad = ['{"type":', '{"type":"start","room":"' + "\\ud800" * 50 + '"}', "nul", '{"type":"audio","data":1e999}']
    async with site.publisher() as one:
        await repeat(site, one, b"".join(frame(text) for text in bad) * 200)


async def _deep_json(site: Site) -> None:
    async with site.publisher() as one:
        await repeat(site, one, frame("[" * _DEPTH) + frame('{"type":' * _DEPTH))


async def _messagepack(site: Site) -> None:
    start = msgspec.msgpack.encode(Start("attack", "t", "opus"))
    spoilt = [start[:at] + _RANDOM.randbytes(3) + start[at + 2 :] for at in range(len(start))]
    huge = [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xc1"]
    async with site.publisher() as one:
        await repeat(site, one, b"".join(frame(data) for data in spoilt + huge) * 50)


async def _deep_messagepack(site: Site) -> None:
    async with site.publisher() as one:
        await repeat(site, one, frame(b"\x91" * _DEPTH) + frame(b"\x81\xa4type" * _DEPTH))


async def _ogg(site: Site) -> None:
    """Pages that never end, and pages of packets that are none, on Kyutai's door."""
    endless = b"OggS\x00\x00" + bytes(20) + b"\xff" + b"\xff" * 255 + _RANDOM.randbytes(255 * 255)
    tiny = b"OggS\x00\x00" + bytes(20) + b"\xff" + b"\x01" * 255 + _RANDOM.randbytes(255)
    messages = [msgspec.msgpack.encode({"type": "OggOpus", "data": page}) for page in (endless, tiny, b"no page")]
    async with await RawSocket.open(site.url, "/api/asr-streaming", key=GUEST, source="127.0.0.2") as one:
        await repeat(site, one, b"".join(frame(message) for message in messages) * 5)


async def _rtp_numbers(site: Site) -> None:
    """Sequence numbers and timestamps that jump by as much as they can: each packet claims half a minute of silence."""
    packets = speech_packets()
    jumps = [
        Audio("t", packets[number % len(packets)], number & 0xFFFF, number * 29 * 48_000 & 0xFFFF_FFFF)
        for number in range(1_000)
    ]
    anywhere = [Audio("u", packet, _RANDOM.getrandbits(16), _RANDOM.getrandbits(32)) for packet in packets[:300]]
    async with site.publisher(Start("attack", "t", "opus"), Start("attack", "u", "opus")) as one:
        await repeat(site, one, frames_of(*jumps, *anywhere))


ATTACKS = (
    Attack("malformed-json", "JSON that is none", _json),
    Attack("deep-json", "JSON a hundred thousand levels deep", _deep_json),
    Attack("malformed-messagepack", "MessagePack that is none", _messagepack),
    Attack("deep-messagepack", "MessagePack a hundred thousand levels deep", _deep_messagepack),
    Attack("ogg", "Ogg pages that never end, and packets that are none", _ogg),
    Attack("rtp-numbers", "RTP numbers that jump", _rtp_numbers),
)
