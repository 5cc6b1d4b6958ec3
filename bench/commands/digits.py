"""The digits checkpoint through the server: `python -m bench digits --data fsdd-four-speakers.tar.gz`.

Strings of the held-back recordings, several at once over Kyutai's protocol as its file script talks it (a second of
silence, audio, a Marker, silence until it returns), to a server of this run: WER, word starts against the truth, and
pause head 0 by the Step messages. The definitions are those of training/evaluate.py.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import connect

from captions.cli.own_server import server_at
from captions.types import FRAME_SAMPLES, FRAMES_PER_SECOND, SAMPLE_RATE, Pcm
from training.acoustics import NoiseBank
from training.corpus import Clip, Composer
from training.evaluate import CLIP_S, LONGEST, SHORTEST, STYLES, HeardWord, measure
from training.recordings import read_recordings

__all__ = ["add_to"]

AT_ONCE = 4
LEAD_S = 1.0


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("digits", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the archive of recordings")
    parser.add_argument("--strings", type=int, default=100)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--model", default="digits")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    clips = _clips(arguments.data, arguments.strings, arguments.seed)
    heard, chances = asyncio.run(_through_server(arguments.model, clips))
    figures = measure(clips, heard, chances)
    print(
        f"{figures.words} words in {figures.strings} strings: WER {figures.wer:.2%}, "
        f"word start error {figures.start_error_median_s * 1e3:.0f} ms median, "
        f"pause head 0 F1 {figures.pause_f1:.3f} (P {figures.pause_precision:.3f}, R {figures.pause_recall:.3f})"
    )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(asdict(figures), indent=2) + "\n", encoding="utf-8")
    return 0


def _clips(archive: Path, strings: int, seed: int) -> list[Clip]:
    recordings = list(read_recordings(archive, held_back=True))
    random = np.random.default_rng(seed)
    composer = Composer(recordings, STYLES["clean"], NoiseBank(random))
    clips = [composer.compose(random, CLIP_S, int(random.integers(SHORTEST, LONGEST + 1))) for _ in range(strings)]
    return [Clip(np.pad(clip.pcm, (0, 13 * FRAME_SAMPLES)), clip.words) for clip in clips]


async def _through_server(model: str, clips: list[Clip]) -> tuple[list[list[HeardWord]], NDArray[np.float32]]:
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(url: str, clip: Clip) -> tuple[list[HeardWord], NDArray[np.float32]]:
        async with turns:
            return _read(await _file_script(url, clip.pcm), len(clip.pcm) // FRAME_SAMPLES + 1)

    async with server_at(None, model) as url:
        read = await asyncio.gather(*(one(url, clip) for clip in clips))
    return [words for words, _ in read], np.stack([chances for _, chances in read])


async def _file_script(url: str, pcm: Pcm) -> list[dict[str, Any]]:
    """Everything the server says of one clip, up to its Marker."""
    said: list[dict[str, Any]] = []
    async with connect(f"{url}/api/asr-streaming", max_size=None, compression=None) as socket:

        async def send() -> None:
            await socket.send(_audio(np.zeros(int(LEAD_S * SAMPLE_RATE), np.float32)))
            for start in range(0, len(pcm), FRAME_SAMPLES):
                await socket.send(_audio(pcm[start : start + FRAME_SAMPLES]))
            await socket.send(msgspec.msgpack.encode({"type": "Marker", "id": 1}))

        sending = asyncio.create_task(send())
        async for payload in socket:
            said.append(msgspec.msgpack.decode(bytes(payload, "ascii") if isinstance(payload, str) else payload))
            if said[-1]["type"] == "Marker":
                break
        await sending
    return said


def _audio(pcm: Pcm) -> bytes:
    """As msgpack-python packs it with single floats."""
    floats = np.empty(len(pcm), [("tag", "u1"), ("sample", ">f4")])
    floats["tag"], floats["sample"] = 0xCA, pcm
    return b"\x82\xa4type\xa5Audio\xa3pcm\xdc" + len(pcm).to_bytes(2) + floats.tobytes()


def _read(said: list[dict[str, Any]], steps: int) -> tuple[list[HeardWord], NDArray[np.float32]]:
    """Words, and head chances by the clip's own steps, the silence in front of it taken off."""
    words: list[HeardWord] = []
    lead_steps = int(LEAD_S * FRAMES_PER_SECOND)
    chances = np.zeros((steps, 4), np.float32)
    for message in said:
        match message["type"]:
            case "Word":
                words.append(HeardWord(message["text"], message["start_time"] - LEAD_S, None))
            case "EndWord" if words:
                words[-1] = HeardWord(words[-1].text, words[-1].start_s, message["stop_time"] - LEAD_S)
            case "Step" if 0 <= message["step_idx"] + 1 - lead_steps < steps:
                chances[message["step_idx"] + 1 - lead_steps] = message["prs"]
    return words, chances
