"""`bench fast`: the CPU default on speech sped up without a change of pitch: which words of fast speakers does it lose?

Each clip goes through listener, scheduler and model in virtual time. Its words are compared with the true ones of
two_cities.wav, and for beckett.wav, whose text is not known, with a reading at its own speed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import av
import jiwer
import numpy as np
from av.filter import Graph

from bench.load.clips import two_cities
from bench.report.console import console
from bench.virtual.pipeline import Pipeline
from captions.cli.audio_file import blocks
from captions.cli.tally import plain
from captions.config import Config
from captions.models.moonshine.model import MoonshineModel
from captions.stream.codec import Codec
from captions.stream.timeline import Packet
from captions.types import SAMPLE_RATE, Pcm

__all__ = ["add_to", "sped_up"]

SPEEDS = (1.0, 1.25, 1.5, 1.75)
PACKET = SAMPLE_RATE // 50


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("fast", description=__doc__)
    parser.add_argument("--speeds", type=float, nargs="+", default=SPEEDS, help="0.5 to 2 (default: 1 1.25 1.5 1.75)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    import moonshine_voice

    folder = Path(moonshine_voice.get_assets_path())
    rows = []
    for name in ("two_cities", "beckett"):
        pcm = np.concatenate(list(blocks(folder / f"{name}.wav", PACKET, SAMPLE_RATE)))
        truth = [word.text for word in two_cities().truth.words] if name == "two_cities" else captioned(pcm)
        for speed in arguments.speeds:
            fast = sped_up(pcm, speed)
            row = _measured(truth, captioned(fast)) | {"clip": name, "speed": speed}
            rows.append(row)
            console.print(
                f"{name:10} x{speed:4.2f}: {len(truth):3d} words in {len(fast) / SAMPLE_RATE:4.1f} s, "
                f"{row['missing']:3.0f} missing, {row['added']:3.0f} added, {row['wrong']:3.0f} wrong, "
                f"word error rate {row['wer']:.1%}"
            )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


def sped_up(pcm: Pcm, speed: float) -> Pcm:
    """Mono speech at 24 kHz so many times as fast, its pitch unchanged (FFmpeg's atempo)."""
    graph = Graph()
    source = graph.add_abuffer(sample_rate=SAMPLE_RATE, format="flt", layout="mono")
    tempo, sink = graph.add("atempo", str(speed)), graph.add("abuffersink")
    source.link_to(tempo)
    tempo.link_to(sink)
    graph.configure()
    frame = av.AudioFrame.from_ndarray(pcm[None], format="flt", layout="mono")
    frame.sample_rate = SAMPLE_RATE
    graph.push(frame)
    graph.push(None)
    parts = []
    while True:
        try:
            parts.append(graph.pull().to_ndarray()[0])
        except (av.error.EOFError, av.error.BlockingIOError):
            return np.asarray(np.concatenate(parts), np.float32)


def captioned(pcm: Pcm) -> list[str]:
    """The words of speech that arrives in real time."""
    model = MoonshineModel(lanes=1)
    pipeline = Pipeline(model, Config())
    whole = np.pad(pcm, (0, -len(pcm) % PACKET)).astype("<f4").reshape(-1, PACKET)
    packets = [Packet(block.tobytes(), (n + 1) / 50, None, n & 0xFFFF, n * PACKET) for n, block in enumerate(whole)]
    pipeline.hear(Codec("pcm_f32le", SAMPLE_RATE), packets)
    model.close()
    return [word.text for word in pipeline.words]


def _measured(truth: Sequence[str], said: Sequence[str]) -> dict[str, float | str]:
    found = jiwer.process_words(" ".join(plain(" ".join(truth))), " ".join(plain(" ".join(said))))
    return {"missing": found.deletions, "added": found.insertions, "wrong": found.substitutions, "wer": found.wer}
