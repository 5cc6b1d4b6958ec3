"""Messages of Kyutai's protocol: the strided reading of audio gives what the plain reading of the same bytes gives."""

from __future__ import annotations

import msgspec
import numpy as np

from captions.doors.kyutai import messages as kyutai

__all__ = ["check", "seeds"]

_encode = msgspec.msgpack.encode


class _Samples(msgspec.Struct):
    pcm: msgspec.Raw


_SAMPLES = msgspec.msgpack.Decoder(_Samples)


def seeds() -> list[bytes]:
    floats = np.linspace(-1, 1, 20).tolist()
    return [
        _encode({"type": "Init"}),
        _encode({"type": "Audio", "pcm": floats}),
        _encode({"pcm": floats, "type": "Audio"}),
        _encode({"type": "Audio", "pcm": [0, 1.0, -1]}),
        b"\x82\xa4type\xa5Audio\xa3pcm\x92\xca\x3f\x80\x00\x00\xca\xbf\x80\x00\x00",
        b"\x82\xa4type\xa5Audio\xa3pcm\xdc\x00\x01\xca\x7f\x80\x00\x00",
        b"\x82\xa4type\xa5Audio\xa3pcm\xdd\x00\x00\x00\x01\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00",
        _encode({"type": "OggOpus", "data": b"OggS"}),
        _encode({"type": "OggOpus", "data": [1, 2, 300]}),
        _encode({"type": "Marker", "id": -(1 << 63)}),
    ]


def check(data: bytes) -> None:
    message = _read(data)
    if isinstance(message, kyutai.Audio):
        assert message.pcm.dtype == np.float32
        assert message.pcm.ndim == 1
        assert np.isfinite(message.pcm).all()
        # The same samples behind no "type" take the plain way.
        plain = _read(_encode({"pcm": _SAMPLES.decode(data).pcm, "type": "Audio"}))
        assert isinstance(plain, kyutai.Audio)
        np.testing.assert_array_equal(message.pcm, plain.pcm)
    elif isinstance(message, kyutai.Marker):
        assert kyutai.decode(kyutai.encode(message)) == message


def _read(data: bytes) -> kyutai.ClientMessage | None:
    try:
        return kyutai.decode(data)
    except kyutai.KyutaiProtocolError as error:
        kyutai.encode(kyutai.Error(str(error)))
        return None
