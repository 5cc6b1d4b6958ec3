"""A front's end of the way to the model, which is another process: what `Runner` is where there is one process.

One thread owns the socket. It asks for a model until it is made welcome, sends orders, delivers what comes back, and
notices when the model dies: the socket between the two breaks at once. With model_host.py the only importer of zmq.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable

import zmq

from captions.engine.mailbox import Mailbox
from captions.engine.orders import Order, PushFrame, StepResults
from captions.engine.relay import Relay
from captions.engine.wire import Join, Told, Welcome, decode_from_model, encode
from captions.engine.worker import Worker, describe, whereabouts
from captions.models.model import ModelInfo
from captions.types import TrackEvent

__all__ = ["ModelLink", "RemoteRunner"]

log = logging.getLogger(__name__)

_ASK_MS = 100
_MOST_BATCHES = 10_000
"""Of the model's steps: no front that lives is minutes behind."""


class ModelLink:
    """The socket of front number `front` to the model at `address`. `wait` until there is a model at all."""

    def __init__(self, address: str, front: int) -> None:
        self.socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.IDENTITY, front.to_bytes(8))
        self.socket.setsockopt(zmq.IMMEDIATE, 1)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVHWM, _MOST_BATCHES)
        self.socket.setsockopt(zmq.SNDHWM, _MOST_BATCHES)
        self.socket.setsockopt(zmq.RECONNECT_IVL, 50)
        self.broken: zmq.Socket[bytes] = self.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self.socket.connect(address)

    def wait(self, goes_on: Callable[[], bool]) -> Welcome | None:
        """Block until a model is warm; None if it `goes_on` no more."""
        while goes_on():
            self.send(encode(Join()))
            if self.socket.poll(_ASK_MS):
                message = decode_from_model(self.socket.recv())
                if isinstance(message, Welcome):
                    return message
        return None

    def send(self, payload: bytes) -> bool:
        """False: there is nobody to send it to."""
        try:
            self.socket.send(payload, zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return False
        return True

    def has_broken(self) -> bool:
        """Whether the model has gone since the last time; asked only when `broken` has something to say."""
        broke = False
        while self.broken.poll(0):
            self.broken.recv_multipart()
            broke = True
        return broke

    def close(self) -> None:
        self.socket.disable_monitor()
        self.socket.close()


class RemoteRunner:
    """See `ModelRunner`. `link` has been waited for; `relay` is this runner's own from here on."""

    def __init__(
        self,
        link: ModelLink,
        welcome: Welcome,
        relay: Relay,
        deliver: Callable[[StepResults], None],
        warmed: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        max_orders: int = 100_000,
    ) -> None:
        self.info: ModelInfo = welcome.info
        self._link = link
        self._relay = relay
        self._deliver = deliver
        self._model: int | None = None
        self._first = welcome
        self._inbox: Mailbox[Order] = Mailbox(max_orders, PushFrame)
        self._told = os.eventfd(0, os.EFD_NONBLOCK)
        self._lanes_in_use = 0
        self._warmed = warmed
        self.failure: str | None = None
        self.worker = Worker("model link", self._run, clock)

    @property
    def is_warm(self) -> bool:
        """There is a model now."""
        return self._model is not None

    @property
    def tracks(self) -> int:
        return self._relay.tracks

    @property
    def lanes_in_use(self) -> int:
        """Of all fronts."""
        return self._lanes_in_use

    def start(self) -> None:
        self.worker.start()

    def turn(self) -> bool:
        """Nothing is run here."""
        return False

    def submit(self, orders: list[Order]) -> list[PushFrame]:
        """Hand over orders, in order. Returns the frames for which the queue had no room."""
        refused = self._inbox.put_all(orders)
        os.eventfd_write(self._told, 1)
        return [order for order in refused if isinstance(order, PushFrame)]

    def stop(self, timeout_s: float) -> bool:
        """What is still on its way is dropped. False: the thread does not end."""
        self._inbox.close()
        os.eventfd_write(self._told, 1)
        return self.worker.join(timeout_s)

    def _run(self) -> None:
        try:
            self._serve()
        except Exception as error:  # noqa: BLE001 -- whatever it is, nothing is passed on any more
            self.failure = describe(error)
            log.error("the way to the model failed", extra={"reason": self.failure, "in": whereabouts(error)})

    def _serve(self) -> None:
        poller = zmq.Poller()
        for one in (self._link.socket, self._link.broken, self._told):
            poller.register(one, zmq.POLLIN)
        self._welcomed(self._first)
        self._warmed()
        while not self._inbox.is_closed:
            ready = dict(poller.poll(_ASK_MS if self._model is None else None))
            if self._told in ready:
                os.eventfd_read(self._told)
                self._tell(self._inbox.take())
            if self._link.broken in ready and self._link.has_broken():
                self._lost()
            if self._link.socket in ready:
                self._hear()
            if self._model is None:
                self._link.send(encode(Join()))
        self._link.close()

    def _tell(self, orders: list[Order]) -> None:
        to_send, events = self._relay.forward(orders)
        self._give(events)
        self._send(to_send)

    def _send(self, orders: list[Order]) -> None:
        if orders and self._model is not None and not self._link.send(encode(Told(self._model, orders))):
            self._lost()

    def _hear(self) -> None:
        while self._link.socket.poll(0):
            message = decode_from_model(self._link.socket.recv())
            if isinstance(message, Welcome):
                self._welcomed(message)
            elif message.model == self._model:
                self._relay.said(message.events)
                if message.report is not None:
                    self._lanes_in_use = message.report.lanes_in_use
                self._deliver((message.events, message.report))

    def _welcomed(self, welcome: Welcome) -> None:
        if welcome.model == self._model:
            return
        self._lost()
        self._model = welcome.model
        orders, events = self._relay.found()
        self._give(events)
        self._send(orders)

    def _lost(self) -> None:
        if self._model is not None:
            log.warning("the model is gone; its next process is waited for", extra={"model": self._model})
        self._model = None
        self._lanes_in_use = 0
        self._give(self._relay.lost())

    def _give(self, events: list[tuple[int, TrackEvent]]) -> None:
        if events:
            self._deliver((events, None))
