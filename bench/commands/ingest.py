"""What hearing costs: server CPU a track-second, in one process, against bare decoding and a bare batched detector.

    python -m bench ingest

Real speech as 20 ms Opus packets through MessagePack, session, listener and scheduler (scripted model, no socket), as
fast as it goes: everybody talking; ten-person meetings, silence known by DTX, by the SFU's levels, or only by the
packets' own flags; everybody silent. One line each, ratios in the same run, JSON with --json.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
import soxr

from captions.cli.audio_file import blocks
from captions.cli.demo import clip
from captions.config import Config
from captions.doors.native import messages as native
from captions.engine.listener import Listener
from captions.engine.orders import PacketArrived, TrackOpened
from captions.engine.policies import lane_policy
from captions.engine.runner import Runner
from captions.models.scheduler import Scheduler
from captions.models.scripted import ScriptedModel
from captions.stream.codec import Codec
from captions.stream.opus import OPUS_CLOCK, OpusDecoder, OpusEncoder
from captions.stream.timeline import Packet
from captions.types import SAMPLE_RATE, Pcm
from captions.vad.gate import GatePolicy
from captions.vad.silero import CHUNK_SAMPLES, VAD_RATE, SileroVad

__all__ = ["add_to"]

BLOCK = OPUS_CLOCK // 50
TALK_FROM_S = 1.2
TRACKS = 40
SECONDS = 8.0


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("ingest", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    talk = _encoded(_talk())
    silence = _encoded(_room_noise())
    _bare(talk[:50])
    bare = _bare(talk)
    figures = {"bare decode + batched VAD": bare}
    cases = {
        "all talking": [_messages(talk)] * TRACKS,
        "meeting of ten, DTX": _meeting(talk, lambda: iter(())),
        "meeting of ten, levels": _meeting(talk, lambda: _with_level(silence)),
        "meeting of ten, flags only": _meeting(talk, lambda: ((packet, None) for packet in silence)),
        "all silent, flags only": [_messages(silence)] * TRACKS,
    }
    print(f"{'bare decode + batched VAD':28} {bare * 1e3:6.2f} ms CPU a track-second")
    for name, tracks in cases.items():
        figures[name] = _served(tracks)
        ratio = f"{figures[name] / bare:5.2f} x bare"
        if name != "all talking":
            ratio += f", {figures[name] / figures['all talking']:5.2f} x all talking"
        print(f"{name:28} {figures[name] * 1e3:6.2f} ms CPU a track-second, {ratio}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


def _talk() -> Iterator[Pcm]:
    return islice(blocks(clip(), BLOCK, OPUS_CLOCK), int(TALK_FROM_S * 50), int((TALK_FROM_S + SECONDS) * 50))


def _room_noise() -> Iterator[Pcm]:
    return iter(np.random.default_rng(0).normal(0, 3e-4, (int(SECONDS * 50), BLOCK)).astype(np.float32))


def _encoded(pcm: Iterator[Pcm]) -> list[bytes]:
    encoder = OpusEncoder()
    return [encoder.encode(block) for block in pcm]


def _with_level(packets: Sequence[bytes]) -> Iterator[tuple[bytes, int | None]]:
    return ((packet, 90) for packet in packets)


def _messages(packets: Sequence[bytes]) -> list[tuple[float, bytes]]:
    return _packed((packet, None) for packet in packets)


def _packed(packets: Iterator[tuple[bytes, int | None]]) -> list[tuple[float, bytes]]:
    """When each message arrives, and its bytes."""
    return [
        (n / 50, msgspec.msgpack.encode(native.Audio("t", data, n & 0xFFFF, n * BLOCK, None, level)))
        for n, (data, level) in enumerate(packets)
    ]


def _meeting(
    talk: Sequence[bytes], silence: Callable[[], Iterator[tuple[bytes, int | None]]]
) -> list[list[tuple[float, bytes]]]:
    """One of ten talks, the others are silent; in turn, so that each track falls asleep and wakes up."""
    tracks = []
    for number in range(TRACKS):
        if number % 10 == 0:
            tracks.append(_messages(talk))
        else:
            tracks.append(_packed(silence()))
    return tracks


def _bare(packets: Sequence[bytes]) -> float:
    """CPU seconds a track-second for decoding at 24 kHz and the detector on all tracks at once, and nothing else."""
    decoders = [OpusDecoder() for _ in range(TRACKS)]
    vad = SileroVad()
    streams = [vad.open() for _ in range(TRACKS)]
    began = time.process_time()
    for decoder in decoders:
        for packet in packets:
            decoder.decode(packet)
    decoding = time.process_time() - began
    pcm = soxr.resample(np.concatenate([decoders[0].decode(packet) for packet in packets]), SAMPLE_RATE, VAD_RATE)
    chunks = pcm[: len(pcm) // CHUNK_SAMPLES * CHUNK_SAMPLES].reshape(-1, CHUNK_SAMPLES)
    began = time.process_time()
    for chunk in chunks:
        vad.probabilities(streams, np.broadcast_to(chunk, (TRACKS, CHUNK_SAMPLES)))
    return (decoding + time.process_time() - began) / (TRACKS * len(packets) / 50)


def _served(tracks: Sequence[list[tuple[float, bytes]]]) -> float:
    """CPU seconds a track-second for everything from a message's bytes to the model's door, and the words back."""
    now = [0.0]
    config = Config()
    model = ScriptedModel(64)
    runner = Runner(model, Scheduler(lane_policy(model.info, config)), lambda _results: None, lambda: now[0])
    listener = Listener(SileroVad(), GatePolicy(), lambda _turn: None, lambda: now[0])
    for number in range(len(tracks)):
        listener.tell(TrackOpened(number, "bench", Codec("opus"), drops=True))
    waiting = [list(reversed(messages)) for messages in tracks]
    began = time.process_time()
    for _ in range(int(SECONDS * 100)):
        now[0] += 0.01
        for number, messages in enumerate(waiting):
            while messages and messages[-1][0] <= now[0]:
                arrived_at, data = messages.pop()
                audio = native.decode_client(data, "msgpack")
                assert isinstance(audio, native.Audio)
                packet = Packet(audio.data, arrived_at, None, audio.seq, audio.timestamp, audio.level)
                listener.tell(PacketArrived(number, packet))
        runner.submit(listener.turn().orders)
        while runner.turn():
            pass
    return (time.process_time() - began) / (len(tracks) * SECONDS)
