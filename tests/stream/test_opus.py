"""Opus packets, by libopus."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captions.stream.opus import OPUS_CLOCK, OpusDecoder, OpusEncoder, OpusError, samples_in_packet
from captions.types import Pcm, samples_in
from tests.speech import dickens

PACKET_48K = OPUS_CLOCK // 50
PACKET_24K = PACKET_48K // 2
LONGEST = samples_in(0.12)


def speech_packets(length_s: float = 1.0, *, fec_loss_percent: int = 0) -> list[bytes]:
    encoder = OpusEncoder(fec_loss_percent=fec_loss_percent)
    speech = dickens(1.4, 1.4 + length_s, OPUS_CLOCK)
    return [encoder.encode(block) for block in speech.reshape(-1, PACKET_48K)]


def likeness(ours: Pcm, theirs: Pcm) -> float:
    """The highest correlation of two signals over the codec's delay, up to 20 ms."""
    span = len(ours) - PACKET_24K
    return max(float(np.corrcoef(ours[at : at + span], theirs[:span])[0, 1]) for at in range(PACKET_24K))


def test_speech_survives_encoding_and_decoding() -> None:
    decoder = OpusDecoder()
    heard = np.concatenate([decoder.decode(packet) for packet in speech_packets()])
    said = dickens(1.4, 2.4)
    assert heard.dtype == np.float32
    assert len(heard) == len(said)
    assert likeness(heard, said) > 0.9


@pytest.mark.parametrize("length_ms", [2.5, 5, 10, 20, 40, 60])
@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 24_000, 48_000])
def test_every_packet_length_is_known_beforehand_and_decoded_in_full(length_ms: float, sample_rate: int) -> None:
    packet = OpusEncoder(sample_rate).encode(np.zeros(round(sample_rate * length_ms / 1_000), np.float32))
    assert samples_in_packet(packet) == len(OpusDecoder().decode(packet)) == samples_in(length_ms / 1_000)


def test_a_decoded_packet_is_the_callers_own() -> None:
    decoder, (first, second) = OpusDecoder(), speech_packets()[:2]
    pcm = decoder.decode(first)
    kept = pcm.copy()
    decoder.decode(second)
    assert np.array_equal(pcm, kept)


@pytest.mark.parametrize("packet", [b"", b"\x03", b"\xff\xff", b"\x02\xff"], ids=lambda p: p.hex() or "empty")
def test_what_is_no_packet_is_refused(packet: bytes) -> None:
    with pytest.raises(OpusError):
        OpusDecoder().decode(packet)


def test_a_decoder_goes_on_after_a_damaged_packet() -> None:
    decoder, packets = OpusDecoder(), speech_packets()
    with pytest.raises(OpusError):
        decoder.decode(b"\x03")
    assert len(decoder.decode(packets[0])) == PACKET_24K


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_random_bytes_are_audio_of_the_length_they_claim_or_an_opus_error(packets: list[bytes]) -> None:
    decoder = OpusDecoder()
    for packet in packets:
        claimed = samples_in_packet(packet)
        assert 0 <= claimed <= LONGEST
        try:
            pcm = decoder.decode(packet)
        except OpusError:
            continue
        assert len(pcm) == claimed
        assert np.isfinite(pcm).all()


@given(st.binary(max_size=60), st.integers(0, 59))
def test_mutated_packets_are_audio_or_an_opus_error(noise: bytes, at: int) -> None:
    packet = bytearray(speech_packets(0.1)[2])
    packet[at : at + len(noise)] = noise
    try:
        assert np.isfinite(OpusDecoder().decode(bytes(packet))).all()
    except OpusError:
        assert samples_in_packet(bytes(packet)) >= 0


@pytest.mark.parametrize("samples", [0, 1, 59, 60, 480, 481, 2_880, 5_000])
def test_what_is_concealed_is_as_long_as_asked(samples: int) -> None:
    decoder = OpusDecoder()
    decoder.decode(speech_packets()[0])
    assert len(decoder.conceal(samples, b"")) == samples


def test_a_lost_packet_comes_back_from_the_spare_copy_in_the_next() -> None:
    packets = speech_packets(fec_loss_percent=30)
    whole, holed, blind = OpusDecoder(), OpusDecoder(), OpusDecoder()
    heard = [whole.decode(packet) for packet in packets]
    for packet in packets[:20]:
        holed.decode(packet)
        blind.decode(packet)
    copied = likeness(np.concatenate([holed.conceal(PACKET_24K, packets[21]), holed.decode(packets[21])]), _two(heard))
    guessed = likeness(np.concatenate([blind.conceal(PACKET_24K, b""), blind.decode(packets[21])]), _two(heard))
    assert copied > 0.9
    assert copied > guessed


def _two(heard: list[Pcm]) -> Pcm:
    return np.concatenate(heard[20:22])
