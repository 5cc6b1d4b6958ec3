"""People who talk all the while, each on a connection of their own, and what of it came back when."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from bench.attacks.attack import FRIEND
from bench.load.processes import LoadError, LoadReport, run_load, shares_of
from bench.load.sender import Target, TrackPlan
from bench.load.voices import PacketPool, Voice, all_talking
from bench.measure.events import TrackLog
from bench.measure.transcript import FinalWord, replay

__all__ = ["Bystanders", "Heard", "heard_between"]

_TALKERS = 4
_BEGIN_S = 30.0
_NEAR_S = 0.35
"""The model of the bench says a word every 0.32 s of speech: so near to a spoken word one of them has to be."""

Spoken = tuple[str, int]
"""A word that was said: on which track, and which of its words."""


@dataclass(slots=True)
class Heard:
    """What came back of the speech of one stretch of time; latencies in ms, from the sending of a word's end."""

    spoken: set[Spoken] = field(default_factory=set)
    heard: set[Spoken] = field(default_factory=set)
    latency_ms: list[float] = field(default_factory=list)
    lost_s: float = 0.0
    troubles: list[str] = field(default_factory=list)


class Bystanders:
    """They `talk` for so many seconds, from a process of their own."""

    def __init__(self, url: str, seconds: float) -> None:
        self._voices = all_talking(_TALKERS, seconds)
        self._url = url
        self._begun = threading.Event()
        self._began_at = 0.0
        self._beside = ThreadPoolExecutor(1)
        self._talking: Future[LoadReport] | None = None

    def talk(self) -> float:
        """Begin; the moment at which they did, on the monotonic clock.

        Raises:
            LoadError: the server refused them.
        """
        self._talking = self._beside.submit(self._run)
        until = time.monotonic() + _BEGIN_S
        while not self._begun.wait(0.1):
            if self._talking.done():
                self._talking.result()
            if time.monotonic() > until:
                raise LoadError("the bystanders did not get as far as talking")
        return self._began_at

    def done(self) -> tuple[list[TrackLog], Sequence[Voice]]:
        """Wait until they have said all, and have heard it or given it up."""
        assert self._talking is not None
        logs = sorted(self._talking.result().logs, key=lambda log: log.track)
        self._beside.shutdown()
        return logs, self._voices

    def _run(self) -> LoadReport:
        target = Target(self._url, key=FRIEND)
        pool = PacketPool(target.audio_format)
        plans = [
            TrackPlan(f"bystander{number}", pool.packets(voice), voice.starts_s, seed=number)
            for number, voice in enumerate(self._voices)
        ]
        return run_load(shares_of(target, plans, 1, 1, done_within_s=15.0), tick=self._tick)

    def _tick(self, elapsed_s: float) -> None:
        if elapsed_s and not self._begun.is_set():
            self._began_at = time.monotonic() - elapsed_s
            self._begun.set()


def heard_between(logs: Sequence[TrackLog], voices: Sequence[Voice], begin_at: float, end_at: float) -> Heard:
    """What came back of the speech that was sent between two moments."""
    heard = Heard()
    for log, voice in zip(logs, voices, strict=True):
        words = replay(log.seen).words
        for number, word in enumerate(voice.truth.words):
            if begin_at <= log.sent.when(word.end) < end_at:
                heard.spoken.add((log.track, number))
                if any(_is_near(said, word.start, word.end) for said in words):
                    heard.heard.add((log.track, number))
        for said in words:
            if said.end is not None and begin_at <= log.sent.when(said.end) < end_at:
                heard.latency_ms.append((said.committed_at - log.sent.when(said.end)) * 1_000)
        for trouble in log.troubles:
            if begin_at <= trouble.at < end_at:
                heard.lost_s += trouble.lost_s
                heard.troubles.append(trouble.message)
    return heard


def _is_near(said: FinalWord, start: float, end: float) -> bool:
    if said.start is None or said.end is None:
        return False
    return said.start <= end + _NEAR_S and start - _NEAR_S <= said.end
