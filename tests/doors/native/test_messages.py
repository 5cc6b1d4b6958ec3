"""The native protocol: bytes to messages and messages to bytes, read and written on the other side by `msgpack`."""

from __future__ import annotations

import json
import string
from contextlib import suppress
from typing import Any, get_args

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captions.doors.native import messages as native
from captions.doors.native.messages import (
    MOST_PACKETS,
    Audio,
    CaptionWord,
    ClientMessage,
    Encoding,
    Error,
    Flushed,
    FlushRequest,
    GapNotice,
    Latency,
    Limits,
    Mute,
    OtherNodes,
    Packets,
    Participant,
    Ping,
    Pong,
    ProtocolError,
    Ready,
    Resume,
    Segment,
    ServerMessage,
    SpeechNotice,
    SpoiltPackets,
    Start,
    Started,
    Stop,
    Stopped,
    TrackPacket,
    Unmute,
    decode_client,
    decode_server,
    encode,
)

ENCODINGS: list[Encoding] = ["msgpack", "json"]

CLIENT: list[tuple[ClientMessage, dict[str, Any]]] = [
    (
        Start("daily", "t1", "opus"),
        {"type": "start", "room": "daily", "track": "t1", "codec": "opus"},
    ),
    (
        Start("daily", "t1", "pcm_s16le", Participant("p1", "Zoé"), 16_000, 2, "fr", live=False),
        {
            "type": "start",
            "room": "daily",
            "track": "t1",
            "codec": "pcm_s16le",
            "participant": {"id": "p1", "name": "Zoé"},
            "sample_rate": 16_000,
            "channels": 2,
            "language": "fr",
            "live": False,
        },
    ),
    (Mute("t1"), {"type": "mute", "track": "t1"}),
    (Unmute("t1"), {"type": "unmute", "track": "t1"}),
    (FlushRequest("t1", "f1"), {"type": "flush", "track": "t1", "id": "f1"}),
    (Stop("t1"), {"type": "stop", "track": "t1"}),
    (Ping("1"), {"type": "ping", "id": "1"}),
    (Resume("s1", "x", 3), {"type": "resume", "session": "s1", "secret": "x", "received": 3}),
    (Ping("1", 12.5), {"type": "ping", "id": "1", "sent_at": 12.5}),
]
SERVER: list[tuple[ServerMessage, dict[str, Any]]] = [
    (
        Ready("s1", "x", "captions.v1", "scripted", ["en", "fr"], 500, Limits(1_048_576, 500, 20.0, 30.0, 4_096)),
        {
            "type": "ready",
            "session": "s1",
            "secret": "x",
            "protocol": "captions.v1",
            "model": "scripted",
            "languages": ["en", "fr"],
            "delay_ms": 500,
            "limits": {
                "message_bytes": 1_048_576,
                "tracks": 500,
                "pending_audio_s": 20.0,
                "resume_s": 30.0,
                "packets": 4_096,
            },
        },
    ),
    (OtherNodes(["ws://a:1"]), {"type": "nodes", "nodes": ["ws://a:1"]}),
    (Started("t1", 7), {"type": "started", "track": "t1", "handle": 7}),
    (
        Segment(
            room="daily",
            track="t1",
            participant=Participant("p1", "Zoé"),
            id="i1",
            revision=1,
            final=False,
            start=1.2,
            end=1.9,
            text="It",
            words=[CaptionWord("It", 1.2, 1.4)],
            latency=Latency(
                word_latency=21.0, buffer=1.0, lane_wait=2.0, queue=3.0, model_delay=4.0, compute=5.0, send=6.0
            ),
            tentative="was",
        ),
        {
            "type": "segment",
            "room": "daily",
            "track": "t1",
            "participant": {"id": "p1", "name": "Zoé"},
            "id": "i1",
            "revision": 1,
            "final": False,
            "start": 1.2,
            "end": 1.9,
            "text": "It",
            "words": [{"text": "It", "start": 1.2, "end": 1.4}],
            "latency": {
                "word_latency": 21.0,
                "buffer": 1.0,
                "lane_wait": 2.0,
                "queue": 3.0,
                "model_delay": 4.0,
                "compute": 5.0,
                "send": 6.0,
            },
            "tentative": "was",
        },
    ),
    (SpeechNotice("t1", True, 1.2), {"type": "speech", "track": "t1", "speaking": True, "at": 1.2}),
    (Flushed("t1", "f1"), {"type": "flushed", "track": "t1", "id": "f1"}),
    (
        GapNotice("t1", 1.0, 2.0, "overload"),
        {"type": "gap", "track": "t1", "start": 1.0, "end": 2.0, "reason": "overload"},
    ),
    (Pong("1", 99.5, 12.5), {"type": "pong", "id": "1", "received_at": 99.5, "sent_at": 12.5}),
    (Stopped("t1"), {"type": "stopped", "track": "t1"}),
    (
        Error("bad_audio", "damaged", False, "t1"),
        {"type": "error", "code": "bad_audio", "message": "damaged", "fatal": False, "track": "t1"},
    ),
    (Error("bad_message", "what?", True), {"type": "error", "code": "bad_message", "message": "what?", "fatal": True}),
]


def packed(fields: object, encoding: Encoding) -> bytes:
    return msgpack.packb(fields) if encoding == "msgpack" else json.dumps(fields).encode()


def fields_of(payload: bytes | str) -> Any:
    return json.loads(payload) if isinstance(payload, str) else msgpack.unpackb(payload)


def refusal(data: bytes, encoding: Encoding) -> tuple[str, str | None]:
    """The code and track of the error that some bytes are answered with."""
    with pytest.raises(ProtocolError) as refused:
        decode_client(data, encoding)
    assert str(refused.value)
    return refused.value.code, refused.value.track


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(("message", "fields"), CLIENT, ids=lambda v: v["type"] if isinstance(v, dict) else "")
def test_a_clients_messages_both_ways(message: ClientMessage, fields: dict[str, Any], encoding: Encoding) -> None:
    assert decode_client(packed(fields, encoding), encoding) == message
    assert fields_of(encode(message, encoding)) == fields


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(("message", "fields"), SERVER, ids=lambda v: v["type"] if isinstance(v, dict) else "")
def test_a_servers_messages_both_ways(message: ServerMessage, fields: dict[str, Any], encoding: Encoding) -> None:
    payload = encode(message, encoding)
    assert fields_of(payload) == fields
    assert decode_server(payload) == message


def test_audio_both_ways() -> None:
    audio = Audio("t1", b"\x00\xff", seq=65_535, timestamp=4_294_967_295, captured_at=1.5, level=127)
    fields = {
        "type": "audio",
        "track": "t1",
        "seq": 65_535,
        "timestamp": 4_294_967_295,
        "captured_at": 1.5,
        "level": 127,
    }
    assert decode_client(packed(fields | {"data": b"\x00\xff"}, "msgpack"), "msgpack") == audio
    assert decode_client(packed(fields | {"data": "AP8="}, "json"), "json") == audio
    assert fields_of(encode(audio, "msgpack")) == fields | {"data": b"\x00\xff"}
    assert fields_of(encode(audio, "json")) == fields | {"data": "AP8="}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_packets_both_ways(encoding: Encoding) -> None:
    packets = Packets([TrackPacket(1, b"\x00\xff", 65_535, 4_294_967_295, 127, 1.5), TrackPacket(2, b"")])
    whole, empty = (b"\x00\xff", b"") if encoding == "msgpack" else ("AP8=", "")
    fields = {
        "type": "packets",
        "packets": [[1, whole, 65_535, 4_294_967_295, 127, 1.5], [2, empty, None, None, None, None]],
    }
    assert decode_client(packed(fields, encoding), encoding) == packets
    assert fields_of(encode(packets, encoding)) == fields


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_a_packet_does_not_say_may_be_left_out(encoding: Encoding) -> None:
    data = b"ab" if encoding == "msgpack" else "YWI="
    message = packed({"type": "packets", "packets": [[1, data], [2, data, 9], [3, data, None, 960]]}, encoding)
    said = [TrackPacket(1, b"ab"), TrackPacket(2, b"ab", 9), TrackPacket(3, b"ab", None, 960)]
    assert decode_client(message, encoding) == Packets(said)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    ("bad", "handle"),
    [
        ([2], 2),
        ([2, 5], 2),
        ([2, None], 2),
        ([2, "AAA=", 65_536], 2),
        ([2, "AAA=", 1, -1], 2),
        ([2, "AAA=", 1, 1, 128], 2),
        ([2, "AAA=", 1, 1, 1, "now"], 2),
        (["two", "AAA="], None),
        ([[2], "AAA="], None),
        ([], None),
        ("packet", None),
        ({"handle": 2}, None),
        (None, None),
    ],
    ids=repr,
)
def test_a_packet_that_cannot_be_read_spoils_itself_alone(bad: object, handle: int | None, encoding: Encoding) -> None:
    data: Any = b"ab" if encoding == "msgpack" else "YWI="
    found = decode_client(packed({"type": "packets", "packets": [[1, data], bad, [3, data]]}, encoding), encoding)
    assert isinstance(found, SpoiltPackets)
    assert found.sound == [TrackPacket(1, b"ab"), TrackPacket(3, b"ab")]
    assert [handle for handle, _ in found.spoilt] == [handle]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("packets", [None, 5, "x", {}, [[1, ""]] * (MOST_PACKETS + 1)], ids=lambda p: repr(p)[:10])
def test_packets_that_are_no_list_or_too_many_are_refused_whole(packets: object, encoding: Encoding) -> None:
    assert refusal(packed({"type": "packets", "packets": packets}, encoding), encoding) == ("bad_message", None)


@given(st.lists(st.tuples(st.integers(-1, 70_000), st.binary(max_size=9), st.none() | st.integers(-9, 70_000))))
def test_sound_and_spoilt_packets_are_all_there_is(packets: list[tuple[int, bytes, int | None]]) -> None:
    found = decode_client(packed({"type": "packets", "packets": packets}, "msgpack"), "msgpack")
    sound = [TrackPacket(*packet) for packet in packets if packet[2] is None or 0 <= packet[2] <= 0xFFFF]
    if isinstance(found, SpoiltPackets):
        assert (found.sound, len(found.sound) + len(found.spoilt)) == (sound, len(packets))
    else:
        assert found == Packets(sound)


def test_a_binary_frame_is_bytes_and_a_text_frame_is_text() -> None:
    assert encode(Stop("t"), "msgpack") == b"\x82\xa4type\xa4stop\xa5track\xa1t"
    assert encode(Stop("t"), "json") == '{"type":"stop","track":"t"}'


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x82\xa4type\xa4stop\xa5track\xa1t", Stop("t")),
        (b"\x82\xa5track\xa1t\xa4type\xa4mute", Mute("t")),
        (b"\x83\xa4type\xa5audio\xa5track\xa1t\xa4data\xc4\x03\x01\x02\x03", Audio("t", b"\x01\x02\x03")),
        (b"\x83\xa4type\xa4ping\xa2id\xa11\xa7sent_at\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00", Ping("1", 1.5)),
        (b"\x83\xa4type\xa4ping\xa2id\xa11\xa7sent_at\x07", Ping("1", 7.0)),
    ],
    ids=["stop", "type last", "audio", "ping", "an integer for a float"],
)
def test_literal_messagepack(data: bytes, message: ClientMessage) -> None:
    assert decode_client(data, "msgpack") == message


def test_literal_json() -> None:
    data = b' {"track": "t", "room": "r", "type": "start", "codec": "opus"} '
    assert decode_client(data, "json") == Start("r", "t", "opus")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("fields", [fields for _, fields in CLIENT], ids=lambda f: f["type"])
def test_a_server_ignores_fields_it_does_not_know(fields: dict[str, Any], encoding: Encoding) -> None:
    more = fields | {"colour": "red", "nested": {"a": [1, None, {"b": 2.5}]}}
    assert decode_client(packed(more, encoding), encoding) == decode_client(packed(fields, encoding), encoding)


@pytest.mark.parametrize("fields", [fields for _, fields in SERVER], ids=lambda f: f["type"])
def test_a_client_ignores_fields_it_does_not_know(fields: dict[str, Any]) -> None:
    more = fields | {"colour": "red", "nested": {"a": [1, None]}}
    assert decode_server(packed(more, "msgpack")) == decode_server(packed(fields, "msgpack"))
    assert decode_server(json.dumps(more)) == decode_server(json.dumps(fields))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    ("fields", "code", "track"),
    [
        ({"type": "sing", "track": "t"}, "unknown_type", "t"),
        ({"type": "ready"}, "unknown_type", None),
        ({"type": "Start", "room": "r", "track": "t", "codec": "opus"}, "unknown_type", "t"),
        ({"track": "t"}, "bad_message", "t"),
        ({}, "bad_message", None),
        ([], "bad_message", None),
        ("start", "bad_message", None),
        (None, "bad_message", None),
        (7, "bad_message", None),
        ({"type": "start", "room": "r", "track": "t"}, "bad_message", "t"),
        ({"type": "start", "room": "r", "track": 7, "codec": "opus"}, "bad_message", None),
        ({"type": "start", "room": "", "track": "t", "codec": "opus"}, "bad_message", "t"),
        ({"type": "start", "room": "r" * 129, "track": "t", "codec": "opus"}, "bad_message", "t"),
        ({"type": "start", "room": "a\tb", "track": "t", "codec": "opus"}, "bad_message", "t"),
        ({"type": "start", "room": "r\n", "track": "t", "codec": "opus"}, "bad_message", "t"),
        ({"type": "start", "room": "r", "track": "t", "codec": "opus", "participant": "Zoé"}, "bad_message", "t"),
        (
            {"type": "start", "room": "r", "track": "t", "codec": "opus", "participant": {"id": "p", "name": "Z\n"}},
            "bad_message",
            "t",
        ),
        ({"type": "start", "room": "r", "track": "t", "codec": "opus", "live": "no"}, "bad_message", "t"),
        ({"type": "start", "room": "r", "track": "t", "codec": "mp3"}, "unsupported_audio", "t"),
        ({"type": "start", "room": "r", "track": "t", "codec": 1}, "unsupported_audio", "t"),
        (
            {"type": "start", "room": "r", "track": "t", "codec": "pcm_s16le", "sample_rate": 0},
            "unsupported_audio",
            "t",
        ),
        (
            {"type": "start", "room": "r", "track": "t", "codec": "pcm_s16le", "sample_rate": 192_000},
            "unsupported_audio",
            "t",
        ),
        (
            {"type": "start", "room": "r", "track": "t", "codec": "pcm_s16le", "sample_rate": "48k"},
            "unsupported_audio",
            "t",
        ),
        ({"type": "start", "room": "r", "track": "t", "codec": "pcm_s16le", "channels": 3}, "unsupported_audio", "t"),
        ({"type": "audio", "track": "t"}, "bad_message", "t"),
        ({"type": "audio", "track": "t", "data": 5}, "bad_message", "t"),
        ({"type": "audio", "track": "t", "data": [1, 2, 3]}, "bad_message", "t"),
        ({"type": "audio", "track": "t", "data": "AAA=", "seq": 65_536}, "bad_message", "t"),
        ({"type": "audio", "track": "t", "data": "AAA=", "seq": -1}, "bad_message", "t"),
        ({"type": "audio", "track": "t", "data": "AAA=", "timestamp": 1 << 32}, "bad_message", "t"),
        ({"type": "audio", "track": "t", "data": "AAA=", "level": 128}, "bad_message", "t"),
        ({"type": "audio", "track": "t", "data": "AAA=", "captured_at": "now"}, "bad_message", "t"),
        ({"type": "flush", "track": "t"}, "bad_message", "t"),
        ({"type": "flush", "track": "t", "id": 5}, "bad_message", "t"),
        ({"type": "stop"}, "bad_message", None),
        ({"type": "stop", "track": None}, "bad_message", None),
        ({"type": "ping", "id": "\x00finished"}, "bad_message", None),
        ({"type": "ping", "id": "1", "sent_at": "now"}, "bad_message", None),
        ({"type": "resume", "session": "s"}, "bad_message", None),
        ({"type": "resume", "session": "s", "secret": "x", "received": -1}, "bad_message", None),
    ],
    ids=repr,
)
def test_what_is_wrong_has_a_name_and_its_track(
    fields: object, code: str, track: str | None, encoding: Encoding
) -> None:
    assert refusal(packed(fields, encoding), encoding) == (code, track)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_message_cut_short_is_a_bad_message(encoding: Encoding) -> None:
    for _, fields in CLIENT:
        whole = packed(fields, encoding)
        codes = {refusal(whole[:length], encoding)[0] for length in range(len(whole))}
        assert codes - {"unsupported_audio"} == {"bad_message"}, "a sample rate cut short may be an impossible one"


def test_bytes_behind_a_message_are_a_bad_message() -> None:
    assert refusal(b"\x82\xa4type\xa4stop\xa5track\xa1t\x00", "msgpack")[0] == "bad_message"
    assert refusal(b'{"type":"stop","track":"t"} x', "json")[0] == "bad_message"


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b'{"type":"sing","track":"t', "json"),
        (b'{"type":"sing","track":"\xff"}', "json"),
        (b'{"type":"sing","x":' + b"[" * 100_000, "json"),
        (b"\x82\xa4type\xa4sing\xa5track", "msgpack"),
        (b"\x82\xa4type\xa4sing\xa5track\xa1\xff", "msgpack"),
        (b"\x82\xa4type\xa4sing\xa1x" + b"\x91" * 100_000, "msgpack"),
    ],
    ids=["cut JSON", "JSON not UTF-8", "deep JSON", "cut MessagePack", "MessagePack not UTF-8", "deep MessagePack"],
)
def test_a_message_wrong_twice_is_still_only_refused(data: bytes, encoding: Encoding) -> None:
    assert refusal(data, encoding)[0] in ("unknown_type", "bad_message")


@pytest.mark.parametrize("data", [b'{"x":' + b"[" * 100_000, b"\x81\xa1x" + b"\x91" * 100_000], ids=ENCODINGS[::-1])
def test_what_is_nested_too_deep_is_a_bad_message_to_both_sides(data: bytes) -> None:
    encoding: Encoding = "json" if data.startswith(b"{") else "msgpack"
    assert refusal(data, encoding)[0] == "bad_message"
    with pytest.raises(ProtocolError):
        decode_server(data.decode() if encoding == "json" else data)


IDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=128)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.integers(0, 2**53)
LABELS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=256)
PARTICIPANTS = st.builds(Participant, IDS, LABELS)
CLIENT_MESSAGES: st.SearchStrategy[ClientMessage] = st.one_of(
    st.builds(
        Start,
        room=IDS,
        track=IDS,
        codec=st.sampled_from(["opus", "pcm_s16le", "pcm_f32le"]),
        participant=st.none() | PARTICIPANTS,
        sample_rate=st.integers(8_000, 48_000),
        channels=st.integers(1, 2),
        language=st.none() | LABELS,
        live=st.booleans(),
    ),
    st.builds(
        Audio,
        track=IDS,
        data=st.binary(),
        seq=st.none() | st.integers(0, 0xFFFF),
        timestamp=st.none() | st.integers(0, 0xFFFFFFFF),
        captured_at=st.none() | FLOATS,
        level=st.none() | st.integers(0, 127),
    ),
    st.builds(Mute, IDS),
    st.builds(Unmute, IDS),
    st.builds(FlushRequest, IDS, IDS),
    st.builds(Stop, IDS),
    st.builds(Ping, IDS, st.none() | FLOATS),
    st.builds(Resume, IDS, IDS, COUNTS),
)
SERVER_MESSAGES: st.SearchStrategy[ServerMessage] = st.one_of(
    st.builds(Ready, *[TEXTS] * 4, st.lists(TEXTS), COUNTS, st.builds(Limits, COUNTS, COUNTS, FLOATS, FLOATS)),
    st.builds(Started, TEXTS),
    st.builds(
        Segment,
        room=TEXTS,
        track=TEXTS,
        participant=PARTICIPANTS,
        id=TEXTS,
        revision=COUNTS,
        final=st.booleans(),
        start=FLOATS,
        end=FLOATS,
        text=TEXTS,
        words=st.lists(st.builds(CaptionWord, TEXTS, FLOATS, FLOATS), max_size=3),
        latency=st.builds(Latency, *[st.none() | FLOATS] * 10),
        tentative=TEXTS,
    ),
    st.builds(SpeechNotice, TEXTS, st.booleans(), FLOATS),
    st.builds(Flushed, TEXTS, TEXTS),
    st.builds(GapNotice, TEXTS, FLOATS, FLOATS, TEXTS),
    st.builds(Pong, TEXTS, FLOATS, st.none() | FLOATS),
    st.builds(Stopped, TEXTS),
    st.builds(OtherNodes, st.lists(TEXTS)),
    st.builds(Error, st.sampled_from(get_args(native.ErrorCode)), TEXTS, st.booleans(), st.none() | TEXTS),
)


def as_bytes(payload: bytes | str) -> bytes:
    return payload.encode() if isinstance(payload, str) else payload


@given(CLIENT_MESSAGES, st.sampled_from(ENCODINGS))
def test_whatever_a_client_says_arrives(message: ClientMessage, encoding: Encoding) -> None:
    assert decode_client(as_bytes(encode(message, encoding)), encoding) == message


@given(SERVER_MESSAGES, st.sampled_from(ENCODINGS))
def test_whatever_a_server_says_arrives(message: ServerMessage, encoding: Encoding) -> None:
    assert decode_server(encode(message, encoding)) == message


def read_anything(data: bytes) -> None:
    """Nothing but a message or a `ProtocolError` may come of any bytes, on either side."""
    for encoding in ENCODINGS:
        with suppress(ProtocolError):
            assert isinstance(decode_client(data, encoding), get_args(ClientMessage))
    for payload in (data, data.decode(errors="replace")):
        with suppress(ProtocolError):
            assert isinstance(decode_server(payload), get_args(ServerMessage))


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_and_do_no_harm(data: bytes) -> None:
    read_anything(data)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_random_messagepack_is_refused_and_does_no_harm(value: object) -> None:
    read_anything(msgpack.packb(value))


@given(
    CLIENT_MESSAGES | SERVER_MESSAGES,
    st.sampled_from(ENCODINGS),
    st.integers(0, 500),
    st.integers(0, 500),
    st.binary(max_size=8),
)
def test_mutated_messages_are_refused_and_do_no_harm(
    message: ClientMessage | ServerMessage, encoding: Encoding, first: int, last: int, noise: bytes
) -> None:
    data = as_bytes(encode(message, encoding))
    read_anything(data[:first] + noise + data[last:])


@given(st.sampled_from([fields for _, fields in CLIENT]), st.data())
def test_wrong_values_in_any_field_are_refused_and_do_no_harm(fields: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(list(fields)))
    value = data.draw(
        st.none() | st.integers() | st.floats(allow_nan=False) | st.text(string.printable) | st.lists(st.none())
    )
    read_anything(json.dumps(fields | {name: value}).encode())


def test_the_public_names() -> None:
    assert sorted(native.__all__) == [
        "Audio",
        "Caption",
        "CaptionWord",
        "ClientMessage",
        "CodecName",
        "Draining",
        "Encoding",
        "Error",
        "ErrorCode",
        "FlushRequest",
        "Flushed",
        "GapNotice",
        "Heartbeat",
        "Latency",
        "Limits",
        "MOST_PACKETS",
        "Missed",
        "Mute",
        "OtherNodes",
        "Packets",
        "Participant",
        "Ping",
        "Pong",
        "ProtocolError",
        "Ready",
        "Resume",
        "SUBPROTOCOL",
        "Segment",
        "ServerMessage",
        "SpeechNotice",
        "SpoiltPackets",
        "Start",
        "Started",
        "Stop",
        "Stopped",
        "TrackPacket",
        "Uncaptioned",
        "Unmute",
        "Watching",
        "decode_client",
        "decode_server",
        "encode",
    ]
    assert native.SUBPROTOCOL == "captions.v1"
    assert get_args(native.ErrorCode) == (
        "bad_message",
        "unknown_type",
        "unknown_track",
        "track_exists",
        "unsupported_audio",
        "bad_audio",
        "too_many_tracks",
        "overloaded",
        "model_failed",
        "not_resumable",
        "forbidden",
        "draining",
    )
