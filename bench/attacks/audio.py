"""More audio than there is time for, and audio that poisons: what one publisher sends must cost nobody else a word."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import numpy as np

from bench.attacks.attack import Attack, Site, audio_frames, frames_of, raw_speech, repeat, speech_packets
from captions.doors.native.messages import Audio, Start

__all__ = ["ATTACKS"]

_MESSAGE_BYTES = 1_000_000
_FLOOD_BITS_PER_S = 40e6
_TRACKS = 4
_LONG_PACKETS = 212_000


async def _file_tracks(site: Site) -> None:
    """Fill the sockets of four connections with files, then reset them all half-way through."""
    audio = [audio_frames(f"t{track}", [raw_speech(_MESSAGE_BYTES)]) for track in range(_TRACKS)]
    starts = [_pcm(f"t{track}", live=False) for track in range(_TRACKS)]

    async def fill() -> None:
        with suppress(ConnectionError):
            async with site.publisher(*starts) as one:
                while True:
                    for data in audio:
                        await one.send(data)

    filling = [asyncio.create_task(fill()) for _ in range(_TRACKS)]
    await asyncio.sleep((site.ends_at - time.monotonic()) / 2)
    for task in filling:
        task.cancel()
    await asyncio.gather(*filling, return_exceptions=True)
    await site.until_over()


async def _pcm_burst(site: Site, size: int) -> None:
    data = audio_frames("t", [raw_speech(_MESSAGE_BYTES)])
    async with site.publisher(_pcm("t")) as one:
        with suppress(ConnectionError):
            for _ in range(size // _MESSAGE_BYTES):
                await one.send(data)
        await site.until_over()


async def _burst(site: Site) -> None:
    await _pcm_burst(site, 21_000_000)


async def _large_burst(site: Site) -> None:
    await _pcm_burst(site, 105_000_000)


async def _pcm_flood(site: Site) -> None:
    """A megabyte is more than ten seconds of audio; five a second are 40 Mbit/s."""
    data = audio_frames("t", [raw_speech(_MESSAGE_BYTES // 10)])
    async with site.publisher(_pcm("t")) as one:
        sent, began_at = 0, time.monotonic()
        with suppress(ConnectionError):
            while not site.is_over:
                await one.send(data)
                sent += len(data)
                await asyncio.sleep(max(0.0, began_at + sent * 8 / _FLOOD_BITS_PER_S - time.monotonic()))


async def _opus_flood(site: Site) -> None:
    packets = _long_packets()
    data = audio_frames("t", packets)
    async with site.publisher(Start("attack", "t", "opus")) as one:
        with suppress(ConnectionError):
            for _ in range(_LONG_PACKETS // len(packets)):
                if site.is_over:
                    break
                await one.send(data)
        await site.until_over()


async def _one_sample_packets(site: Site) -> None:
    data = audio_frames("t", [b"\x00\x40"] * 2_000)
    async with site.publisher(_pcm("t", live=False)) as one:
        await repeat(site, one, data)


async def _poison(site: Site) -> None:
    """Numbers that overflow a model, or are none, at the pace of real time."""
    huge, infinite = np.float32(3e38), np.float32(np.inf)
    poisons = [np.full(480, value, "<f4").tobytes() for value in (huge, -huge, infinite, np.float32(np.nan))]
    lowest = np.full(960, -32_768, "<i2").tobytes()
    starts = [Start("attack", f"f{number}", "pcm_f32le", sample_rate=24_000) for number in range(len(poisons))]
    async with site.publisher(*starts, _pcm("i")) as one:
        with suppress(ConnectionError):
            while not site.is_over:
                audio = [Audio(f"f{number}", poison) for number, poison in enumerate(poisons)]
                await one.send(frames_of(*audio, Audio("i", lowest)))
                await asyncio.sleep(0.02)


def _pcm(track: str, *, live: bool = True) -> Start:
    return Start("attack", track, "pcm_s16le", sample_rate=48_000, live=live)


def _long_packets() -> list[bytes]:
    """Speech in Opus packets of 120 ms: six frames of 20 ms each, of lengths of their own (RFC 6716, 3.2.5, code 3)."""
    frames = [packet for packet in speech_packets() if 2 < len(packet) < 252 and packet[0] & 3 == 0]
    packets = []
    for at in range(0, len(frames) - 5, 6):
        six = [frame for frame in frames[at : at + 6] if frame[0] == frames[at][0]]
        if len(six) == 6:
            lengths = bytes(len(frame) - 1 for frame in six[:-1])
            packets.append(bytes([six[0][0] | 3, 0x80 | 6]) + lengths + b"".join(frame[1:] for frame in six))
    return packets


ATTACKS = (
    Attack("file-tracks", "four connections fill their sockets with files and are reset", _file_tracks, lanes=8),
    Attack("pcm-burst", "21 MB of PCM at once on a live track", _burst),
    Attack("pcm-burst-large", "105 MB of PCM at once on a live track", _large_burst),
    Attack("pcm-flood", "40 Mbit/s of PCM on a live track", _pcm_flood),
    Attack("opus-flood", "102 MB of Opus packets of 120 ms on a live track", _opus_flood),
    Attack("one-sample-packets", "packets of one sample, as fast as they go", _one_sample_packets),
    Attack("poison", "samples that overflow, that are infinite, or no numbers", _poison),
)
