"""RTP packets byte for byte: RFC 3550's header, RFC 8285's extensions, RFC 6464's level, BYE."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captions.stream.rtp import RtpError, audio_of, goodbyes, head_of, is_rtcp

PLAIN = bytes.fromhex("80 60 1234 00000960 deadbeef") + b"opus"
ONE_BYTE = bytes.fromhex("90 e0 1234 00000960 deadbeef bede 0002 51aabb 00 10 a6 00 00") + b"opus"
TWO_BYTES = bytes.fromhex("90 60 1234 00000960 deadbeef 1000 0002 0502aabb 0101 26 00") + b"opus"


def test_a_plain_packet_has_its_source_its_place_and_its_audio() -> None:
    assert head_of(PLAIN) == (0x80, 96, 0x1234, 2_400, 0xDEADBEEF)
    assert audio_of(PLAIN, None) == (b"opus", None)


@pytest.mark.parametrize("datagram", [ONE_BYTE, TWO_BYTES])
def test_the_level_is_found_among_the_header_extensions(datagram: bytes) -> None:
    assert audio_of(datagram, 1) == (b"opus", 0x26)
    assert audio_of(datagram, 7) == audio_of(datagram, None) == (b"opus", None)


def test_contributing_sources_and_padding_are_no_audio() -> None:
    mixed = bytes.fromhex("a2 60 1234 00000960 deadbeef 00000001 00000002") + b"opus" + b"\x00\x00\x03"
    assert audio_of(mixed, None) == (b"opus", None)


@pytest.mark.parametrize("datagram", [b"", b"\x80" * 11, bytes.fromhex("40 60 1234 00000960 deadbeef")])
def test_what_is_no_packet_has_no_head(datagram: bytes) -> None:
    with pytest.raises(RtpError):
        head_of(datagram)


@pytest.mark.parametrize(
    "datagram",
    [
        bytes.fromhex("8f 60 1234 00000960 deadbeef") + b"opus",
        bytes.fromhex("90 60 1234 00000960 deadbeef bede ffff") + b"opus",
        bytes.fromhex("90 60 1234 00000960 deadbeef bede"),
        bytes.fromhex("a0 60 1234 00000960 deadbeef") + b"\xff",
    ],
)
def test_a_packet_whose_lengths_do_not_add_up_is_an_error(datagram: bytes) -> None:
    with pytest.raises(RtpError):
        audio_of(datagram, 1)


def test_who_says_bye_is_found_in_a_compound_packet() -> None:
    report = struct.pack("!BBHII", 0x80, 201, 2, 7, 0)
    bye = struct.pack("!BBHII", 0x82, 203, 2, 7, 8)
    assert is_rtcp(report)
    assert goodbyes(report + bye) == [7, 8]
    assert goodbyes(report) == []
    assert not is_rtcp(PLAIN)
    assert not is_rtcp(ONE_BYTE), "the marker of a first packet of speech is no RTCP"


@given(st.binary(max_size=80), st.integers(1, 14))
def test_no_datagram_is_worse_than_an_error(datagram: bytes, level: int) -> None:
    goodbyes(datagram)
    is_rtcp(datagram)
    with suppress(RtpError):
        head_of(datagram)
        payload, found = audio_of(datagram, level)
        assert payload in datagram[12:]
        assert found is None or 0 <= found <= 127


@given(
    st.binary(max_size=40),
    st.integers(0, 127),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.lists(st.integers(0, 0xFFFFFFFF), max_size=15),
    st.none() | st.integers(0, 127),
)
def test_what_was_packed_is_read(
    payload: bytes, payload_type: int, seq: int, timestamp: int, sources: list[int], level: int | None
) -> None:
    first = 0x80 | len(sources) | (0x10 if level is not None else 0)
    extension = b"" if level is None else struct.pack("!HHBBH", 0xBEDE, 1, 0x30, level | 0x80, 0)
    head = struct.pack("!BBHII", first, payload_type | 0x80, seq, timestamp, 5)
    datagram = head + b"".join(struct.pack("!I", source) for source in sources) + extension + payload
    assert head_of(datagram) == (first, payload_type | 0x80, seq, timestamp, 5)
    assert audio_of(datagram, 3) == (payload, level)
