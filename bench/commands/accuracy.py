"""`bench accuracy`: word errors, word times and speech boundaries, on clean and on worse audio."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.commands.latency import add_clip_options, clip_of
from bench.commands.servers import add_server_options, settings_of, target_of
from bench.load.clips import Clip
from bench.load.impair import Impairment
from bench.load.sender import Target
from bench.load.voices import voice_of
from bench.measure.session import run_pass, to_run
from bench.report.console import finish, progress, show
from bench.report.results import Result, Run
from bench.truth.composed import phrases_apart, words_from_recordings

__all__ = ["CONDITIONS", "add_to", "with_noise"]

CONDITIONS = ("clean", "noise", "loss", "jitter", "apart")
_SHOWN = (
    "wer",
    "word_latency_p50",
    "erasure",
    "start_error_abs_p50",
    "end_error_abs_p50",
    "end_error_abs_p95",
    "onset_error_abs_p50",
    "onset_error_abs_p95",
    "offset_error_abs_p50",
    "offset_error_abs_p95",
    "onsets_missed",
)


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "accuracy",
        description="Word error rate after whisper-style normalisation, errors of word times and of speech boundaries. "
        "clean: as it is; noise: pink noise 10 dB below the speech; loss: 5% of packets lost; jitter: 30 ms on "
        "average, with reordering; apart: its phrases laid into digital silence, so that boundaries are known.".replace(
            "%", "%%"
        ),
    )
    add_server_options(parser)
    parser.add_argument("--conditions", nargs="+", choices=CONDITIONS, default=["clean", "noise", "loss", "apart"])
    add_clip_options(parser)
    parser.add_argument(
        "--recordings", type=Path, metavar="FOLDER", help="speak recorded words instead: WORD_SPEAKER_NUMBER.wav"
    )
    parser.add_argument("--words", type=int, default=60, help="of those recordings (default: 60)")
    parser.add_argument("--seconds", type=float, help="only so much of the clip")
    parser.add_argument("--seed", type=int, default=1)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    if arguments.recordings is not None:
        clip = words_from_recordings(arguments.recordings, arguments.words, arguments.seed)
    else:
        clip = clip_of(arguments, arguments.seconds)
    runs = []
    with target_of(arguments) as (target, _):
        for condition in arguments.conditions:
            runs.append(_run(condition, clip, target, arguments.seed))
            show(runs[-1], _SHOWN)
    settings = settings_of(arguments) | {"truth": clip.truth.made, "recordings": str(arguments.recordings is not None)}
    settings.pop("audio", None)
    return finish(Result("accuracy", f"Accuracy on {clip.name}", settings, runs))


def _run(condition: str, clip: Clip, target: Target, seed: int) -> Run:
    impairment = {"loss": Impairment(loss=0.05), "jitter": Impairment(jitter_ms=30.0, reordering=True)}
    said = (
        phrases_apart(clip) if condition == "apart" else with_noise(clip, 10.0, seed) if condition == "noise" else clip
    )
    aimed = replace(target, impairment=impairment.get(condition, Impairment()))
    with progress(condition, said.duration_s) as tick:
        return to_run(condition, run_pass(aimed, [voice_of(said)], tick=tick))


def with_noise(clip: Clip, snr_db: float, seed: int) -> Clip:
    """Pink noise, so many decibels below the clip's speech on average."""
    white = np.fft.rfft(np.random.default_rng(seed).standard_normal(len(clip.pcm)))
    frequency = np.maximum(np.arange(len(white)), 1.0)
    noise = np.fft.irfft(white / np.sqrt(frequency), len(clip.pcm))
    spoken = np.concatenate([clip.pcm[round(w.start * 48_000) : round(w.end * 48_000)] for w in clip.truth.words])
    level = np.sqrt(np.mean(spoken**2)) / np.sqrt(np.mean(noise**2)) * 10 ** (-snr_db / 20)
    return replace(clip, pcm=np.clip(clip.pcm + level * noise, -1.0, 1.0).astype(np.float32))
