"""A codec's description: what cannot be is refused by name, and packets are counted without being decoded."""

from __future__ import annotations

import pytest

from captions.stream.codec import AudioError, Codec, CodecName
from captions.stream.opus import OPUS_CLOCK, OpusEncoder
from tests.speech import dickens


@pytest.mark.parametrize(
    ("name", "sample_rate", "channels", "packet_bytes", "ticks", "samples"),
    [
        ("pcm_s16le", 48_000, 1, 1_920, 960, 480),
        ("pcm_s16le", 16_000, 2, 1_280, 320, 480),
        ("pcm_f32le", 24_000, 1, 1_920, 480, 480),
        ("pcm_f32le", 8_000, 2, 1_280, 160, 480),
        ("pcm_s16le", 44_100, 1, 3, 1, 0),
        ("pcm_f32le", 24_000, 1, 0, 0, 0),
    ],
)
def test_pcm_is_as_long_as_its_bytes_say(
    name: CodecName, sample_rate: int, channels: int, packet_bytes: int, ticks: int, samples: int
) -> None:
    codec, packet = Codec(name, sample_rate, channels), b"\x00" * packet_bytes
    assert (codec.ticks_in(packet), codec.samples_in(packet)) == (ticks, samples)


def test_an_opus_packet_is_as_long_as_its_first_byte_says() -> None:
    packet = OpusEncoder().encode(dickens(0.0, 0.02, OPUS_CLOCK))
    codec = Codec("opus")
    assert (codec.ticks_in(packet), codec.samples_in(packet)) == (960, 480)
    assert (codec.ticks_in(b""), codec.samples_in(b"")) == (0, 0)


@pytest.mark.parametrize(("sample_rate", "fits"), [(7_999, False), (8_000, True), (48_000, True), (48_001, False)])
def test_pcm_has_the_rates_that_can_be_resampled(sample_rate: int, fits: bool) -> None:
    if fits:
        assert Codec("pcm_s16le", sample_rate).sample_rate == sample_rate
    else:
        with pytest.raises(AudioError, match=f"a sample rate of {sample_rate}; 8000 to 48000 are known"):
            Codec("pcm_s16le", sample_rate)


@pytest.mark.parametrize("channels", [0, 3])
def test_one_and_two_channels_are_known(channels: int) -> None:
    with pytest.raises(AudioError, match=f"{channels} channels; 1 and 2 are known"):
        Codec("opus", OPUS_CLOCK, channels)
