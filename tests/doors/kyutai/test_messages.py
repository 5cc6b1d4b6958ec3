"""Kyutai's protocol, by the bytes its clients send and expect."""

from __future__ import annotations

from contextlib import suppress

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from captions.doors.kyutai import messages as kyutai
from captions.types import Pcm


def packed(samples: list[float], *, width: int = 4) -> bytes:
    """An `Audio` as msgpack-python packs it: `use_single_float` gives width 4."""
    tag, code = (b"\xca", ">f4") if width == 4 else (b"\xcb", ">f8")
    body = b"".join(tag + np.array(sample, code).tobytes() for sample in samples)
    header = bytes([0x90 | len(samples)]) if len(samples) < 16 else b"\xdc" + len(samples).to_bytes(2)
    return b"\x82\xa4type\xa5Audio\xa3pcm" + header + body


@pytest.mark.parametrize("width", [4, 8])
@given(pcm=arrays(np.float32, st.integers(1, 2_000), elements=st.floats(-1, 1, width=32)))
def test_audio_of_any_length_and_both_widths(width: int, pcm: Pcm) -> None:
    message = kyutai.decode(packed(pcm.tolist(), width=width))
    assert isinstance(message, kyutai.Audio)
    np.testing.assert_array_equal(message.pcm, pcm)
    assert message.pcm.dtype == np.float32


def test_a_frame_of_the_lasuite_plugin_is_9619_bytes() -> None:
    assert len(packed([0.0] * 1_920)) == 9_619
    message = kyutai.decode(packed([0.5] * 1_920))
    assert isinstance(message, kyutai.Audio)
    assert message.pcm.shape == (1_920,)


def test_samples_packed_as_integers_or_mixed() -> None:
    message = kyutai.decode(msgpack.packb({"type": "Audio", "pcm": [0, 0.5, -1]}))
    assert isinstance(message, kyutai.Audio)
    assert message.pcm.tolist() == [0.0, 0.5, -1.0]


def test_a_map_in_another_order() -> None:
    message = kyutai.decode(msgpack.packb({"pcm": [0.25], "type": "Audio"}))
    assert isinstance(message, kyutai.Audio)
    assert message.pcm.tolist() == [0.25]


def test_no_samples() -> None:
    message = kyutai.decode(packed([]))
    assert isinstance(message, kyutai.Audio)
    assert len(message.pcm) == 0


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"type": "Init"}, kyutai.Init()),
        ({"type": "Marker", "id": 7}, kyutai.Marker(7)),
        ({"type": "OggOpus", "data": b"OggS"}, kyutai.OggOpus(b"OggS")),
        ({"type": "OggOpus", "data": [79, 103]}, kyutai.OggOpus([79, 103])),
    ],
)
def test_the_other_messages(fields: dict[str, object], expected: kyutai.ClientMessage) -> None:
    assert kyutai.decode(msgpack.packb(fields)) == expected


@pytest.mark.parametrize(
    "data",
    [b"", b"\x82", b"\xc1", packed([0.1, 0.2])[:-1], packed([float("nan")]), msgpack.packb({"type": "Nope"})],
)
def test_bad_messages_have_a_name(data: bytes) -> None:
    with pytest.raises(kyutai.KyutaiProtocolError):
        kyutai.decode(data)


@given(st.binary(max_size=64) | st.binary(max_size=64).map(lambda b: b"\x82\xa4type\xa5Audio\xa3pcm" + b))
def test_nothing_else_is_ever_raised(data: bytes) -> None:
    with suppress(kyutai.KyutaiProtocolError):
        kyutai.decode(data)


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        (kyutai.Ready(), {"type": "Ready"}),
        (kyutai.Word("bonjour", 1.25), {"type": "Word", "text": "bonjour", "start_time": 1.25}),
        (kyutai.EndWord(1.5), {"type": "EndWord", "stop_time": 1.5}),
        (kyutai.Step(3, (0.0, 1.0), 0), {"type": "Step", "step_idx": 3, "prs": [0.0, 1.0], "buffered_pcm": 0}),
        (kyutai.Marker(7), {"type": "Marker", "id": 7}),
        (kyutai.Error("no"), {"type": "Error", "message": "no"}),
    ],
)
def test_what_the_server_says(message: kyutai.ServerMessage, fields: dict[str, object]) -> None:
    assert msgpack.unpackb(kyutai.encode(message)) == fields
