"""SRTP as libsrtp makes it: what is opened, and what is refused."""

from __future__ import annotations

import struct
from typing import Any

import pytest

pylibsrtp = pytest.importorskip("pylibsrtp")

from captions.stream.rtp import goodbyes, head_of  # noqa: E402
from captions.stream.srtp import SRTP_KEY_BYTES, Srtp, SrtpError  # noqa: E402

SSRC = 0xDEADBEEF
KEY = bytes(range(SRTP_KEY_BYTES))


def sender(key: bytes = KEY) -> Any:
    return pylibsrtp.Session(pylibsrtp.Policy(key, pylibsrtp.Policy.SSRC_ANY_OUTBOUND))


def packet(seq: int, ssrc: int = SSRC) -> bytes:
    return struct.pack("!BBHII", 0x80, 96, seq, seq * 960, ssrc) + b"opus"


def test_packets_are_opened_though_they_come_out_of_order_and_their_numbers_go_round() -> None:
    makes, opens = sender(), Srtp(KEY, SSRC)
    sent = [packet(seq & 0xFFFF) for seq in range(65_530, 65_540)]
    sealed = [makes.protect(one) for one in sent]
    sealed[3], sealed[7] = sealed[7], sealed[3]
    assert sorted(map(opens.open, sealed)) == sorted(sent)


def test_of_another_key_changed_repeated_of_another_source_or_none_at_all_is_refused() -> None:
    makes, opens = sender(), Srtp(KEY, SSRC)
    sealed = makes.protect(packet(1))
    for wrong in (
        sender(bytes(SRTP_KEY_BYTES)).protect(packet(1)),
        sealed[:-1] + bytes([sealed[-1] ^ 1]),
        makes.protect(packet(1, SSRC + 1)),
        packet(1),
        b"",
        bytes(2_048),
    ):
        with pytest.raises(SrtpError):
            opens.open(wrong)
    assert head_of(opens.open(sealed))[2] == 1
    with pytest.raises(SrtpError, match="replay"):
        opens.open(sealed)


def test_a_goodbye_is_opened_and_a_forged_one_refused() -> None:
    bye = struct.pack("!BBHI", 0x81, 203, 1, SSRC)
    opens = Srtp(KEY, SSRC)
    with pytest.raises(SrtpError):
        opens.open_control(bye)
    assert goodbyes(opens.open_control(sender().protect_rtcp(bye))) == [SSRC]
