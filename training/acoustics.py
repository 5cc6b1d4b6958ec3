"""Background noise, rooms and microphones, made from a random generator rather than from recordings."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.recordings import SAMPLE_RATE, Pcm

__all__ = ["NoiseBank", "colour_voice"]

BANK_S = 30.0
SLOPES_DB_PER_OCTAVE = (0.0, -3.0, -6.0, -9.0)
BANDWIDTHS_HZ = (4_000.0, 12_000.0)


class NoiseBank:
    """Half a minute of noise of each colour and bandwidth, from which backgrounds are cut."""

    def __init__(self, random: Generator) -> None:
        samples = round(BANK_S * SAMPLE_RATE)
        frequencies = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE)
        self._noises: list[Pcm] = []
        for slope in SLOPES_DB_PER_OCTAVE:
            for bandwidth in BANDWIDTHS_HZ:
                shape = (np.maximum(frequencies, 50.0) / 50.0) ** (slope / 6.02) * (frequencies < bandwidth)
                phases = random.standard_normal(len(shape)) + 1j * random.standard_normal(len(shape))
                noise = np.fft.irfft(shape * phases, samples)
                self._noises.append((noise / noise.std()).astype(np.float32))

    def background(self, random: Generator, samples: int) -> Pcm:
        """Noise of unit loudness, now and then with mains hum, whose level may jump once."""
        noise = self._noises[random.integers(len(self._noises))]
        start = random.integers(len(noise) - samples)
        background = noise[start : start + samples].copy()
        if random.random() < 0.2:
            hum_hz = random.choice((50.0, 60.0, 100.0, 120.0))
            background += np.sin(2 * np.pi * hum_hz / SAMPLE_RATE * np.arange(samples, dtype=np.float32))
        if random.random() < 0.3:
            background[random.integers(samples) :] *= 10 ** (random.uniform(-20, 6) / 20)
        return background


def colour_voice(random: Generator, voice: Pcm) -> Pcm:
    """The voice through a smooth random frequency response, and half the time through a small room."""
    length = 1 << (len(voice) - 1).bit_length()
    spectrum = np.fft.rfft(voice, length)
    spectrum *= _response(random, len(spectrum))
    if random.random() < 0.5:
        spectrum *= np.fft.rfft(_room(random), length)
    return np.fft.irfft(spectrum, length)[: len(voice)].astype(np.float32)


def _response(random: Generator, bins: int) -> NDArray[np.float32]:
    """Gain of each frequency bin: a curve through eight random points within ±6 dB."""
    gains_db = np.interp(np.linspace(0, 7, 4096), np.arange(8), random.uniform(-6, 6, 8))
    grid = np.sqrt(np.linspace(0, 1, bins, dtype=np.float32)) * 4095
    gains: Pcm = (10 ** (gains_db / 20)).astype(np.float32)
    return gains[grid.astype(np.int32)]


def _room(random: Generator) -> Pcm:
    """An impulse response: the direct sound and a decaying tail 6 to 25 dB below it."""
    decay_s = random.uniform(0.03, 0.12)
    times = np.arange(round(3 * decay_s * SAMPLE_RATE)) / SAMPLE_RATE
    tail = random.standard_normal(len(times)) * np.exp(-times / decay_s)
    tail *= 10 ** (-random.uniform(6, 25) / 20) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    impulse: Pcm = tail.astype(np.float32)
    return impulse
