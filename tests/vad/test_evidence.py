"""Silence by what a packet says of itself: against libopus's own encoder, and by literal bytes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby, islice

import numpy as np
import pytest

from captions.cli.audio_file import blocks
from captions.cli.demo import clip
from captions.stream.opus import OPUS_CLOCK, OpusEncoder
from captions.types import Pcm
from captions.vad.evidence import surely_silent

BLOCK = OPUS_CLOCK // 50


def encoded(pcm: Iterable[Pcm]) -> list[bytes]:
    encoder = OpusEncoder(bitrate=24_000)
    return [encoder.encode(block) for block in pcm]


def test_a_quiet_room_is_surely_silent() -> None:
    noise = np.random.default_rng(0).normal(0, 1e-4, (50, BLOCK)).astype(np.float32)
    packets = encoded(noise)[10:]
    assert sum(surely_silent(packet, None) for packet in packets) >= 0.9 * len(packets)


def test_a_person_who_speaks_is_not() -> None:
    speech = encoded(islice(blocks(clip(), BLOCK, OPUS_CLOCK), 65, 200))
    runs = [sum(1 for _ in run) for silent, run in groupby(surely_silent(p, None) for p in speech) if silent]
    assert max(runs) <= 0.4 * 50


@pytest.mark.parametrize(
    ("packet", "silent"),
    [
        (b"", True),
        (b"\x48", True),
        (b"\x48\x00", True),
        (b"\x48\x00\x00", True),
        (b"\x48\x80\x00", False),
        (b"\x48\x7f\xff", True),
        (b"\x58\x1f\x00", True),
        (b"\x58\x20\x00", False),
        (b"\x4c\x00\x00", True),
        (b"\x4c\x20\x00", False),
        (b"\x4c\x40\x00", True),
        (b"\x49\x00\x11\x80\x11", False),
        (b"\x49\x00\x11\x00\x11", True),
        (b"\x4a\x00\x00\x00", False),
        (b"\x4b\x02\x00\x00", False),
        (b"\xfc\x00\x00", False),
    ],
    ids=[
        "nothing at all",
        "DTX: a table of contents alone",
        "DTX: and one byte",
        "SILK 20 ms, no voice",
        "SILK 20 ms, voice",
        "SILK 20 ms, no voice, spare copy",
        "SILK 60 ms, no voice in three",
        "SILK 60 ms, voice in the third",
        "stereo, no voice",
        "stereo, voice in the side channel",
        "stereo, spare copy of mid alone",
        "two frames, voice in the second",
        "two frames, no voice",
        "two frames of unequal length: not looked into",
        "many frames: not looked into",
        "CELT alone has no flags",
    ],
)
def test_flags(packet: bytes, silent: bool) -> None:
    assert surely_silent(packet, None) is silent


def test_the_senders_level_decides_where_there_is_one() -> None:
    celt = b"\xfc\x00\x00"
    assert surely_silent(celt, 127)
    assert not surely_silent(celt, 30)
    assert not surely_silent(b"\x48\x00\x00", 30)
