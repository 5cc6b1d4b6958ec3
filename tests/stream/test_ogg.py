"""Ogg Opus cut anywhere, as FFmpeg writes it."""

from __future__ import annotations

import io
import itertools

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captions.stream.ogg import OggError, OggReader
from captions.stream.opus import samples_in_packet


def recorded(seconds: float) -> bytes:
    """A tone as an Ogg Opus file."""
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        samples = int(48_000 * seconds)
        tone = (0.3 * np.sin(np.arange(samples) / 20)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(tone[None], format="flt", layout="mono")
        frame.sample_rate = 48_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return file.getvalue()


OGG = recorded(3.0)
PACKETS = OggReader().feed(OGG)


def test_all_packets_and_no_headers() -> None:
    assert all(samples_in_packet(packet) == 480 for packet in PACKETS)
    assert 150 <= len(PACKETS) <= 152


@given(cuts=st.lists(st.integers(0, len(OGG)), max_size=8))
def test_cut_anywhere(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(OGG)]
    reader = OggReader()
    packets = [p for start, end in itertools.pairwise(edges) for p in reader.feed(OGG[start:end])]
    assert packets == PACKETS


@given(st.binary(max_size=400))
def test_anything_else_is_an_error_or_waits_for_more(data: bytes) -> None:
    reader = OggReader()
    try:
        reader.feed(data)
    except OggError:
        assert reader.feed(OGG) == PACKETS


def test_bytes_that_begin_no_page() -> None:
    with pytest.raises(OggError):
        OggReader().feed(b"RIFF")
