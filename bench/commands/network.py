"""What the network and the silence rules cost in words: `python -m bench network`.

Two cities (package moonshine-voice), the CPU default model, virtual time: as sent; with packets lost at random, with
in-band FEC and without; with a pause inserted and silence skipped or decoded. One line each, JSON with --json.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import jiwer
import numpy as np

from bench.virtual.pipeline import Pipeline
from captions.cli.audio_file import blocks
from captions.cli.demo import TWO_CITIES, clip
from captions.cli.tally import plain
from captions.config import Config
from captions.models.moonshine.model import MoonshineModel
from captions.stream.codec import Codec
from captions.stream.opus import OPUS_CLOCK, OpusEncoder
from captions.stream.timeline import Packet

__all__ = ["add_to"]

PACKET_SAMPLES = OPUS_CLOCK // 50


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("network", description=__doc__)
    parser.add_argument("--loss", type=float, default=0.1, help="share of packets lost (default 0.1)")
    parser.add_argument("--seeds", type=int, default=5, help="loss patterns to average over (default 5)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    figures: dict[str, object] = {}
    for name, fec in (("no spare copies", False), ("in-band FEC", True)):
        whole = list(_packets(fec=fec))
        clean = _wer(_words(whole))
        lossy = [_wer(_words(_lose(whole, arguments.loss, seed))) for seed in range(arguments.seeds)]
        mean = sum(lossy) / len(lossy)
        figures[f"wer, {name}"] = {"no_loss": clean, "lost": lossy}
        print(f"{name}: WER {clean:.1%} whole, {mean:.1%} with {arguments.loss:.0%} lost (mean of {len(lossy)})")
    for name, packets in (("continuous", list(_packets())), ("DTX", list(_packets(dtx=True)))):
        on, off = _words(packets), _words(packets, skip_silence=False)
        figures[f"silence skipped, {name}"] = {"same_words": on == off, "words": len(on)}
        print(f"silence skipped or decoded, {name}: {'the same' if on == off else 'DIFFERENT'} {len(on)} words")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


def _packets(*, fec: bool = False, dtx: bool = False) -> Iterator[Packet]:
    """The clip twice with ten quiet seconds between, as RTP would bring it."""
    encoder = OpusEncoder(fec_loss_percent=10 if fec else 0, dtx=dtx)
    room_noise = np.random.default_rng(1)
    speech = list(blocks(clip(), PACKET_SAMPLES, OPUS_CLOCK))
    quiet = [room_noise.normal(0, 2e-4, PACKET_SAMPLES).astype(np.float32) for _ in range(500)]
    for number, block in enumerate([*speech, *quiet, *speech]):
        data = encoder.encode(block)
        if not (dtx and len(data) <= 2):
            yield Packet(data, (number + 1) / 50, None, number & 0xFFFF, number * PACKET_SAMPLES & 0xFFFF_FFFF)


def _lose(packets: Sequence[Packet], share: float, seed: int) -> list[Packet]:
    draw = random.Random(seed)
    return [packet for packet in packets if draw.random() >= share]


def _words(packets: Sequence[Packet], *, skip_silence: bool = True) -> list[str]:
    model = MoonshineModel(lanes=1)
    pipeline = Pipeline(model, Config(), skip_silence=skip_silence)
    pipeline.hear(Codec("opus"), packets)
    model.close()
    return plain(" ".join(word.text for word in pipeline.words))


def _wer(words: list[str]) -> float:
    truth = plain(TWO_CITIES) * 2
    return float(jiwer.wer(" ".join(truth), " ".join(words)))
