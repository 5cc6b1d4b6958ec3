"""Opus packets by their first bytes (RFC 6716, 3.1): they are counted as long as what libopus decodes."""

from __future__ import annotations

import numpy as np

from captions.stream.opus import OpusDecoder, OpusEncoder, OpusError, samples_in_packet
from captions.types import SAMPLE_RATE, samples_in
from captions.vad.evidence import surely_silent

__all__ = ["check", "seeds"]

_LONGEST_SAMPLES = samples_in(0.12)


def seeds() -> list[bytes]:
    tone = (0.3 * np.sin(np.arange(2_880) / 20)).astype(np.float32)
    coded = [OpusEncoder(fec_loss_percent=20).encode(tone[:length]) for length in (480, 960, 1_920, 2_880)]
    tables_of_contents = [bytes([config << 3 | code, 2, 1, 0xFF]) for config in range(0, 32, 3) for code in range(4)]
    return [b"\x00" + packet for packet in coded + tables_of_contents]


def check(data: bytes) -> None:
    """The first byte says how much is concealed before the packet."""
    lost, packet = samples_in(data[0] / 1_000) if data else 0, data[1:]
    counted = samples_in_packet(packet)
    assert 0 <= counted <= _LONGEST_SAMPLES
    surely_silent(packet, None)
    decoder = OpusDecoder()
    assert len(decoder.conceal(lost, packet)) == lost
    try:
        pcm = decoder.decode(packet)
    except OpusError:
        return
    assert len(pcm) == counted, f"{len(pcm)} samples of {SAMPLE_RATE} Hz, counted as {counted}"
