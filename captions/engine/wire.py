"""What passes between a front and the process of the model, as bytes: orders one way, results the other.

    front                                   model
      | -- Join ---------------------------> |   until it is welcome, and again when a new model has come
      | <------------------------- Welcome - |   who the model is
      | -- Told: orders, a turn of them ---> |
      | <--- Said: what came of a step, its - |
      |      own tracks, and how full it is  |

`model` numbers the processes that the model has had: what was meant for one that died is not obeyed by the next, and
what it said is not believed any more. Arrays without names in MessagePack; a frame's samples are bytes in them, copied
once on each side.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec
import numpy as np
from msgspec import Struct

from captions.engine.orders import Order, StepReport
from captions.models.model import ModelInfo
from captions.types import TrackEvent

__all__ = [
    "FromFront",
    "FromModel",
    "Join",
    "Said",
    "Told",
    "Welcome",
    "decode_from_front",
    "decode_from_model",
    "encode",
]


class _Message(Struct, frozen=True, array_like=True, tag=True):
    pass


class Join(_Message, frozen=True):
    """A front wants to know whether there is a model."""


class Told(_Message, frozen=True):
    """Orders, in order."""

    model: int
    orders: list[Order]


class Welcome(_Message, frozen=True):
    """The model is warm."""

    model: int
    info: ModelInfo


class Said(_Message, frozen=True):
    """Of the front's tracks, in order; see `StepResults`."""

    model: int
    events: list[tuple[int, TrackEvent]]
    report: StepReport | None


FromFront: TypeAlias = Join | Told
FromModel: TypeAlias = Welcome | Said


def encode(message: FromFront | FromModel) -> bytes:
    return _encoder.encode(message)


def decode_from_front(data: bytes) -> FromFront:
    return _from_front.decode(data)


def decode_from_model(data: bytes) -> FromModel:
    return _from_model.decode(data)


def _written(value: Any) -> bytes:
    if isinstance(value, np.ndarray):
        return value.tobytes()
    raise NotImplementedError(f"no way to write a {type(value).__name__}")


def _read(kind: type, value: Any) -> Any:
    del kind
    return np.frombuffer(value, np.float32)


_encoder = msgspec.msgpack.Encoder(enc_hook=_written)
_from_front: msgspec.msgpack.Decoder[FromFront] = msgspec.msgpack.Decoder(FromFront, dec_hook=_read)
_from_model: msgspec.msgpack.Decoder[FromModel] = msgspec.msgpack.Decoder(FromModel, dec_hook=_read)
