"""What is asked for by `POST /v1/rtp`, and what is answered. Pure."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from captions.doors.names import error_text
from captions.stream.captions import Id, Participant
from captions.stream.opus import OPUS_CLOCK
from captions.stream.srtp import SRTP_KEY_BYTES

__all__ = ["RtpAnswer", "RtpRequest", "RtpRequestError", "decode", "encode"]


class RtpRequestError(Exception):
    """A request that cannot be read; the message names the field."""


class RtpRequest(Struct, frozen=True):
    """A participant's Opus will come as RTP.

    `ssrc` is the source its packets have, where the SFU cannot be told one. Packets of another `payload_type` are
    passed over. `audio_level_extension` is the id under which their headers carry the level (RFC 6464). `srtp_key`, in
    base64, is master key and salt of AES_CM_128_HMAC_SHA1_80; with it, only SRTP is heard of the source.
    """

    room: Id
    track: Id
    participant: Participant | None = None
    ssrc: Annotated[int, Meta(ge=1, le=0xFFFFFFFF)] | None = None
    payload_type: Annotated[int, Meta(ge=0, le=127)] | None = None
    audio_level_extension: Annotated[int, Meta(ge=1, le=255)] | None = None
    srtp_key: Annotated[bytes, Meta(min_length=SRTP_KEY_BYTES, max_length=SRTP_KEY_BYTES)] | None = None


class RtpAnswer(Struct, frozen=True):
    """Where the packets are expected and how they must look; `id` ends it."""

    id: str
    address: str
    port: int
    ssrc: int
    payload_type: int | None
    forget_after_s: float
    codec: str = "opus"
    clock_rate: int = OPUS_CLOCK


def decode(body: bytes) -> RtpRequest:
    """The body of a request.

    Raises:
        RtpRequestError: it is none.
    """
    try:
        return msgspec.json.decode(body, type=RtpRequest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RtpRequestError(error_text(error)) from None


def encode(answer: RtpAnswer) -> str:
    return msgspec.json.encode(answer).decode()
