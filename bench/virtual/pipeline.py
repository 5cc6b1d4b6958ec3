"""Listener, scheduler and model in virtual time, without sockets or threads: what packets come to as words."""

from __future__ import annotations

from collections.abc import Sequence

from captions.config import Config
from captions.engine.listener import Listener
from captions.engine.orders import AudioEnded, PacketArrived, StepResults, TrackOpened
from captions.engine.policies import gate_policy, lane_policy
from captions.engine.runner import Runner
from captions.models.model import Model
from captions.models.scheduler import Scheduler
from captions.stream.codec import Codec
from captions.stream.timeline import Packet
from captions.types import Word
from captions.vad.gate import SpurtStarted
from captions.vad.silero import SileroVad

__all__ = ["Pipeline"]

TURN_S = 0.02


class Pipeline:
    """One server's inside. `hear` a track to its end; `words` are what the model said, `spurts` what the gate did."""

    def __init__(self, model: Model, config: Config, *, skip_silence: bool = True) -> None:
        self.words: list[Word] = []
        self.spurts: list[float] = []
        self._now = 0.0
        policy = gate_policy(model.info, config)
        self._runner = Runner(model, Scheduler(lane_policy(model.info, config)), self._said, self._clock)
        self._listener = Listener(SileroVad(), policy, lambda _turn: None, self._clock, skips_silence=skip_silence)
        self._tracks = 0

    def hear(self, codec: Codec, packets: Sequence[Packet]) -> None:
        """Packets in the order they arrive, at the times they say."""
        self._tracks += 1
        track = self._tracks
        self._listener.tell(TrackOpened(track, "bench", codec, drops=True))
        waiting = list(reversed(packets))
        while waiting:
            self._now += TURN_S
            due = []
            while waiting and waiting[-1].arrived_at <= self._now:
                due.append(PacketArrived(track, waiting.pop()))
            self._turn(due)
        self._turn([AudioEnded(track, "end")])

    def _turn(self, notices: Sequence[PacketArrived | AudioEnded]) -> None:
        for notice in notices:
            self._listener.tell(notice)
        turn = self._listener.turn()
        self.spurts += [event.at / 24_000 for _, event in turn.heard if isinstance(event, SpurtStarted)]
        self._runner.submit(turn.orders)
        while self._runner.turn():
            pass

    def _said(self, results: StepResults) -> None:
        self.words += [event for _, event in results[0] if isinstance(event, Word)]

    def _clock(self) -> float:
        return self._now
