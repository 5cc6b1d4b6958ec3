"""`captions models`: fetch a checkpoint, convert it for a CPU, see what is there, and compare what both say."""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from captions.cli.audio_file import blocks
from captions.models.load import KYUTAI
from captions.models.model import Batch, LaneWord, Model
from captions.types import FRAME_SAMPLES, SAMPLE_RATE, Pcm

__all__ = ["add_to"]

WEIGHTS = ("int8", "int4", "float32")
MIB = 1 << 20


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("models", help="fetch and convert models", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    pull = verbs.add_parser("pull", help="fetch a checkpoint", description="Fetch a checkpoint into the hub's cache.")
    pull.add_argument("name", nargs="?", default=KYUTAI, help=f"its name on the model hub (default: {KYUTAI})")
    pull.set_defaults(run=_pull)
    convert = verbs.add_parser(
        "convert",
        help="make a checkpoint ready for a CPU",
        description="Convert a checkpoint's weights, once, into the user's cache. The server does it at first use.",
    )
    convert.add_argument("name", metavar="NAME|FOLDER", help="on the model hub or on this machine")
    convert.add_argument("--weights", choices=WEIGHTS, default="int8", help="default: int8")
    convert.set_defaults(run=_convert)
    listed = verbs.add_parser("list", help="what is converted", description="The converted models on this machine.")
    listed.set_defaults(run=_list)
    check = verbs.add_parser(
        "check",
        help="compare converted weights with full ones",
        description="Read a recording with converted and with full (float32) weights, and say where they differ. "
        "Full weights of the 1B take 4.4 GB of disk and twice that of memory.",
    )
    check.add_argument("name", metavar="NAME|FOLDER")
    check.add_argument("--audio", type=Path, required=True, metavar="FILE")
    check.add_argument("--weights", choices=WEIGHTS[:2], default="int8", help="default: int8")
    check.set_defaults(run=_check)


def _pull(arguments: argparse.Namespace) -> int:
    from captions.models.kyutai.hub import pull

    print(f"fetching {arguments.name} from the model hub", file=sys.stderr)
    print(pull(arguments.name))
    return 0


def _convert(arguments: argparse.Namespace) -> int:
    from captions.models.kyutai.checkpoint import Checkpoint
    from captions.models.kyutai.onnx_backend.convert import convert

    checkpoint = Checkpoint.find(arguments.name)
    columns = TextColumn(f"{checkpoint.name} to {arguments.weights}"), BarColumn(), DownloadColumn()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=None)
        path = convert(
            checkpoint, arguments.weights, lambda done, total: progress.update(task, completed=done, total=total)
        )
    print(path)
    return 0


def _list(_: argparse.Namespace) -> int:
    from captions.models.kyutai.onnx_backend.conversions import conversions, everything

    for found in conversions():
        print(f"{found.size / MIB:6.0f} MiB  {found.weights:8s} {' '.join(found.languages):8s} {found.source}")
    folder, size = everything()
    if size:
        print(f"{size / MIB:6.0f} MiB  in all in {folder}, where each may be deleted")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    frames = _frames(arguments.audio)
    rounded, full = (_read(arguments.name, weights, frames) for weights in (arguments.weights, "float32"))
    print(f"float32: {' '.join(word.text for word in full)}")
    print(f"{arguments.weights}: {' '.join(word.text for word in rounded)}")
    different = 0
    matcher = difflib.SequenceMatcher(None, [w.text for w in full], [w.text for w in rounded], autojunk=False)
    for kind, first, last, other_first, other_last in matcher.get_opcodes():
        if kind != "equal":
            one, other = full[first:last], rounded[other_first:other_last]
            different += max(len(one), len(other))
            at_s = (one or other)[0].start / SAMPLE_RATE
            print(f"  {at_s:7.2f} s  {' '.join(w.text for w in one) or '-'} | {' '.join(w.text for w in other) or '-'}")
    print(f"{different} of {len(full)} words differ")
    return 0


def _read(name: str, weights: str, frames: list[Pcm]) -> list[LaneWord]:
    """The words of one lane that hears `frames`, behind the silence that every lane begins with."""
    from captions.config import ModelConfig
    from captions.models.load import load

    model: Model = load(ModelConfig(name=name, lanes=1, device="cpu", dtype=weights))
    model.warm_up()
    flush = [np.zeros(FRAME_SAMPLES, np.float32)] * model.info.flush_frames
    batch, words = Batch.of(1, FRAME_SAMPLES), list[LaneWord]()
    batch.active[:] = True
    heard = [*frames, *flush]
    for number, frame in enumerate(heard, 1):
        batch.pcm[0], batch.closing[0] = frame, number == len(heard)
        words += [e for output in model.step(batch) for e in output.events if isinstance(e, LaneWord)]
    model.close()
    return words


def _frames(path: Path) -> list[Pcm]:
    pcm = np.concatenate(list(blocks(path, SAMPLE_RATE // 10, SAMPLE_RATE)))
    pcm = np.pad(pcm, (0, -len(pcm) % FRAME_SAMPLES))
    return list(pcm.reshape(-1, FRAME_SAMPLES))
