"""Audio as it came to mono float32 at 24 kHz."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from captions.stream.codec import AudioError, Codec, CodecName
from captions.stream.decode import Decoder, decoder_for
from captions.stream.opus import OpusEncoder
from captions.types import SAMPLE_RATE, Pcm, samples_in

RATES = [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000]
TONE_HZ = 440.0
LEVEL = 0.5
HELD_BACK = samples_in(0.03)
"""The most a resampler may keep to itself until more comes."""


def tone(sample_rate: int, length_s: float = 1.0) -> NDArray[np.float64]:
    return LEVEL * np.sin(2 * np.pi * TONE_HZ * np.arange(int(sample_rate * length_s)) / sample_rate)


def packets(codec: CodecName, sample_rate: int, channels: int, length_s: float = 1.0) -> Iterator[bytes]:
    """The tone in 20 ms messages, the same on each channel."""
    samples = np.repeat(tone(sample_rate, length_s), channels)
    data = samples.astype("<f4").tobytes() if codec == "pcm_f32le" else (samples * 32_768).astype("<i2").tobytes()
    width = (4 if codec == "pcm_f32le" else 2) * channels * (sample_rate // 50)
    return (data[at : at + width] for at in range(0, len(data), width))


def decoded(decoder: Decoder, datas: Iterator[bytes]) -> Pcm:
    return np.concatenate([decoder.decode(data) for data in datas])


def pitch_of(pcm: Pcm) -> float:
    """The strongest frequency, to within half a hertz or so."""
    windowed = pcm * np.hanning(len(pcm))
    return float(np.argmax(np.abs(np.fft.rfft(windowed, 16 * len(pcm)))) * SAMPLE_RATE / (16 * len(pcm)))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_f32le"])
@pytest.mark.parametrize("sample_rate", RATES)
def test_a_tone_keeps_its_length_pitch_and_level(codec: CodecName, sample_rate: int, channels: int) -> None:
    pcm = decoded(decoder_for(Codec(codec, sample_rate, channels)), packets(codec, sample_rate, channels))
    assert pcm.dtype == np.float32
    assert SAMPLE_RATE - HELD_BACK <= len(pcm) <= SAMPLE_RATE
    middle = pcm[4_800:19_200]
    assert pitch_of(middle) == pytest.approx(TONE_HZ, abs=1.0)
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(LEVEL / np.sqrt(2), rel=0.01)


def test_at_24_khz_samples_within_full_scale_pass_unchanged() -> None:
    decoder = decoder_for(Codec("pcm_s16le", 24_000, 1))
    assert decoder.decode(b"\x00\x00\xff\x7f\x00\x80\x00\x40").tolist() == [0.0, 32_767 / 32_768, -1.0, 0.5]
    floats = decoder_for(Codec("pcm_f32le", 24_000, 1))
    assert floats.decode(np.array([0.25, -0.75, -1.5], "<f4").tobytes()).tolist() == [0.25, -0.75, -1.0]


def test_stereo_is_the_mean_of_both_channels() -> None:
    decoder = decoder_for(Codec("pcm_f32le", 24_000, 2))
    assert decoder.decode(np.array([1.0, 0.0, 0.5, -0.5], "<f4").tobytes()).tolist() == [0.5, 0.0]


@pytest.mark.parametrize(
    ("codec", "channels", "data"),
    [
        ("pcm_s16le", 1, b"\x00" * 3),
        ("pcm_s16le", 2, b"\x00" * 6),
        ("pcm_f32le", 1, b"\x00" * 5),
        ("pcm_f32le", 2, b"\x00" * 12),
    ],
)
def test_part_of_a_sample_is_refused_and_the_next_packet_is_heard(codec: CodecName, channels: int, data: bytes) -> None:
    decoder = decoder_for(Codec(codec, 24_000, channels))
    with pytest.raises(AudioError, match=f"{len(data)} bytes are not a whole number"):
        decoder.decode(data)
    assert len(decoder.decode(b"\x00" * 16)) == 16 // (channels * (2 if codec == "pcm_s16le" else 4))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_refused_and_the_next_packet_is_heard(bad: float) -> None:
    decoder = decoder_for(Codec("pcm_f32le", 48_000, 1))
    with pytest.raises(AudioError, match="finite"):
        decoder.decode(np.array([0.0] * 959 + [bad], "<f4").tobytes())
    assert np.isfinite(decoded(decoder, packets("pcm_f32le", 48_000, 1))).all()


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("sample_rate", [24_000, 48_000])
def test_samples_far_beyond_full_scale_leave_nothing_in_the_resampler(sample_rate: int, channels: int) -> None:
    decoder = decoder_for(Codec("pcm_f32le", sample_rate, channels))
    huge = np.full(sample_rate // 50 * channels, 3e38, "<f4").tobytes()
    assert np.abs(decoder.decode(huge)).max() < 2.0
    pcm = decoded(decoder, packets("pcm_f32le", sample_rate, channels))
    assert np.abs(pcm[HELD_BACK:]).max() == pytest.approx(LEVEL, rel=0.01)


def test_no_samples_are_no_error() -> None:
    assert [len(decoder_for(Codec(codec, 16_000, 1)).decode(b"")) for codec in ("pcm_s16le", "pcm_f32le")] == [0, 0]


def test_cuts_between_messages_are_not_heard() -> None:
    whole = decoder_for(Codec("pcm_s16le", 16_000, 1)).decode(b"".join(packets("pcm_s16le", 16_000, 1)))
    pieces = decoded(decoder_for(Codec("pcm_s16le", 16_000, 1)), packets("pcm_s16le", 16_000, 1))
    shorter = min(len(whole), len(pieces))
    assert shorter >= SAMPLE_RATE - HELD_BACK
    np.testing.assert_allclose(pieces[:shorter], whole[:shorter], atol=1e-6)


def test_what_is_decoded_is_the_callers_own() -> None:
    decoder = decoder_for(Codec("pcm_f32le", 24_000, 1))
    pcm = decoder.decode(np.ones(10, "<f4").tobytes())
    pcm[:] = 0.0
    assert decoder.decode(np.ones(10, "<f4").tobytes()).tolist() == [1.0] * 10


@pytest.mark.parametrize(
    ("codec", "sample_rate", "channels", "message"),
    [
        ("mp3", 48_000, 1, "no such codec: mp3"),
        ("pcm_s16le", 7_999, 1, "a sample rate of 7999; 8000 to 48000 are known"),
        ("pcm_f32le", 48_001, 1, "a sample rate of 48001; 8000 to 48000 are known"),
        ("pcm_s16le", 48_000, 0, "0 channels; 1 and 2 are known"),
        ("pcm_s16le", 48_000, 3, "3 channels; 1 and 2 are known"),
        ("opus", 16_000, 1, "Opus has a clock of 48000, not 16000"),
    ],
)
def test_audio_nobody_can_decode_is_refused_by_name(
    codec: CodecName, sample_rate: int, channels: int, message: str
) -> None:
    with pytest.raises(AudioError) as refused:
        decoder_for(Codec(codec, sample_rate, channels))
    assert str(refused.value) == message


@pytest.mark.parametrize("sample", [-32_768, 32_767])
def test_full_scale_of_either_sign_is_not_silence(sample: int) -> None:
    loud = np.array([0, sample, 0], "<i2").tobytes()
    assert not decoder_for(Codec("pcm_s16le", 24_000)).surely_silent(loud, None)


def test_opus_becomes_24_khz() -> None:
    encoder = OpusEncoder()
    blocks = tone(48_000).astype(np.float32).reshape(-1, 960)
    pcm = decoded(decoder_for(Codec("opus", 48_000, 2)), (encoder.encode(block) for block in blocks))
    assert len(pcm) == SAMPLE_RATE
    assert pitch_of(pcm[4_800:19_200]) == pytest.approx(TONE_HZ, abs=1.0)
    assert np.sqrt(np.mean(pcm[4_800:19_200] ** 2)) == pytest.approx(LEVEL / np.sqrt(2), rel=0.1)


def test_a_damaged_opus_packet_is_refused_and_the_next_one_is_heard() -> None:
    decoder = decoder_for(Codec("opus", 48_000, 1))
    with pytest.raises(AudioError, match="not an Opus packet"):
        decoder.decode(b"\x03")
    assert len(decoder.decode(OpusEncoder().encode(np.zeros(960, np.float32)))) == 480


@pytest.mark.parametrize("codec", ["opus", "pcm_s16le", "pcm_f32le"])
def test_what_is_lost_is_stood_in_for_in_full(codec: CodecName) -> None:
    assert len(decoder_for(Codec(codec, 48_000, 1)).conceal(480, b"")) == 480


@given(st.sampled_from(["opus", "pcm_s16le", "pcm_f32le"]), st.sampled_from(RATES), st.lists(st.binary(max_size=200)))
def test_any_bytes_give_finite_audio_or_an_audio_error(codec: CodecName, sample_rate: int, datas: list[bytes]) -> None:
    decoder = decoder_for(Codec(codec, 48_000 if codec == "opus" else sample_rate, 1))
    for data in datas:
        assert decoder.surely_silent(data, None) in (True, False)
        with suppress(AudioError):
            assert np.isfinite(decoder.decode(data)).all()


def test_what_comes_at_once_is_resampled_as_what_comes_in_packets() -> None:
    codec = Codec("pcm_s16le", 48_000)
    at_once = decoder_for(codec).decode(b"".join(packets("pcm_s16le", 48_000, 1)))
    assert np.array_equal(at_once, decoded(decoder_for(codec), packets("pcm_s16le", 48_000, 1)))
