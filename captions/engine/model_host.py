"""The process of the model, from the inside: orders of all fronts in, steps, and what came of them back to each.

One thread, one loop: between two steps it takes what has come. Orders that come during a step could not be run sooner.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable
from typing import TypeAlias

import msgspec
import zmq

from captions.engine.orders import CloseTrack, OpenTrack, Order, StepReport, StepResults, front_of
from captions.engine.runner import Runner
from captions.engine.wire import FromModel, Join, Said, Told, Welcome, decode_from_front, encode
from captions.models.model import ModelError
from captions.types import TrackEvent

__all__ = ["ModelHost"]

log = logging.getLogger(__name__)

MakeRunner: TypeAlias = Callable[[Callable[[StepResults], None], Callable[[], None]], Runner]

_MOST_BATCHES = 10_000
"""Of a front's orders, or of steps that a front has not read: no process that lives is minutes behind."""


class ModelHost:
    """Model number `model` at `address`. `serve` while the model works, and call `forget` when a front has died."""

    def __init__(self, address: str, model: int, make_runner: MakeRunner) -> None:
        self._model = model
        self._runner = make_runner(self._deliver, lambda: None)
        self._tracks: dict[int, set[int]] = defaultdict(set)
        self._fronts: list[int] = []
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.SNDHWM, _MOST_BATCHES)
        self._socket.setsockopt(zmq.RCVHWM, _MOST_BATCHES)
        self._socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        self._address = address

    def warm_up(self) -> None:
        """Be ready for steps, then open to fronts.

        Raises:
            ModelError: it will never be.
        """
        self._runner.warm_up()
        if self._runner.failure is not None:
            raise ModelError(self._runner.failure)
        self._socket.bind(self._address)

    def turn(self, wait_s: float) -> bool:
        """Take what has come, waiting for it at most so long if there is nothing to run, and run a step.

        False: the model has failed.
        """
        self._hear()
        if not self._runner.turn():
            self._socket.poll(int(wait_s * 1_000))
        return self._runner.failure is None

    def forget(self, front: int) -> None:
        """A front has died, and with it its tracks."""
        if front in self._fronts:
            self._fronts.remove(front)
        gone: list[Order] = [CloseTrack(track) for track in self._tracks.pop(front, ())]
        self._runner.submit(gone)

    def close(self) -> None:
        self._socket.close()
        self._runner.stop()

    def _hear(self) -> None:
        while self._socket.poll(0):
            identity, payload = self._socket.recv_multipart()
            front = int.from_bytes(identity)
            message = decode_from_front(payload)
            match message:
                case Join():
                    self._join(front)
                case Told(model, orders) if model == self._model:
                    self._note(front, orders)
                    self._runner.submit(orders)

    def _join(self, front: int) -> None:
        if front not in self._fronts:
            self._fronts.append(front)
        self._send(front, Welcome(self._model, self._runner.info))

    def _note(self, front: int, orders: list[Order]) -> None:
        for order in orders:
            if isinstance(order, OpenTrack):
                self._tracks[front].add(order.track)
            elif isinstance(order, CloseTrack):
                self._tracks[front].discard(order.track)

    def _deliver(self, results: StepResults) -> None:
        """To each front what is said of its tracks. All are told how full the lanes are, one what is to be counted.

        A model that has failed says nothing more: its tracks go on with the next one.
        """
        if self._runner.failure is not None:
            return
        events, report = results
        by_front: dict[int, list[tuple[int, TrackEvent]]] = {front: [] for front in self._fronts}
        for track, event in events:
            front = front_of(track)
            if front in by_front:
                by_front[front].append((track, event))
        uncounted = None if report is None else _uncounted(report)
        for place, (front, said) in enumerate(by_front.items()):
            told = report if place == 0 else uncounted
            if said or told is not None:
                self._send(front, Said(self._model, said, told))

    def _send(self, front: int, message: FromModel) -> None:
        self._socket.send_multipart([front.to_bytes(8), encode(message)], zmq.NOBLOCK)


def _uncounted(report: StepReport) -> StepReport:
    return msgspec.structs.replace(report, step_s=None, lanes_stepped=0, lane_waits_s=(), stalled=0)
