"""Gladia's messages: requests and commands as its clients send them, and what is made of a segment."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captions.doors.gladia.messages import (
    AudioChunk,
    Chunk,
    GladiaProtocolError,
    LiveQuery,
    Message,
    StopRecording,
    Transcript,
    decode,
    decode_request,
    encode,
    live_query,
    utterance_of,
)
from captions.doors.names import NameProblem
from captions.stream.captions import CaptionWord, Latency, Participant, Segment
from captions.stream.codec import Codec

OF_LIVEKIT: dict[str, Any] = {
    "encoding": "wav/pcm",
    "sample_rate": 16000,
    "model": "solaria-1",
    "endpointing": 0.05,
    "maximum_duration_without_endpointing": 5,
    "bit_depth": 16,
    "channels": 1,
    "language_config": {"languages": ["fr", "en"], "code_switching": True},
    "realtime_processing": {"words_accurate_timestamps": False},
    "messages_config": {"receive_partial_transcripts": True, "receive_final_transcripts": True},
    "custom_metadata": {"livekit": "1.8.9"},
    "pre_processing": {"audio_enhancer": False, "speech_threshold": 0.6},
}


def requested(**changes: Any) -> bytes:
    return json.dumps(OF_LIVEKIT | changes).encode()


def test_a_livekit_agents_request_is_understood() -> None:
    request = decode_request(requested())
    assert request.languages == ("fr", "en")
    assert request.query("s1", "fr") == LiveQuery(
        id="s1", sample_rate=16_000, language="fr", receive_partial_transcripts=True
    )


def test_without_a_body_of_note_all_is_as_gladia_has_it() -> None:
    query = decode_request(b"{}").query("s1", "")
    assert query == LiveQuery(id="s1")
    assert query.codec == Codec("pcm_s16le", 16_000)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"encoding": "wav/ulaw"}, "encoding"),
        ({"bit_depth": 24}, "bit_depth"),
        ({"sample_rate": 4_000}, "sample_rate"),
        ({"channels": 8}, "channels"),
        ({"callback": True}, "callback"),
        ({"language_config": {"languages": "fr"}}, "language_config"),
        ({"messages_config": {"receive_errors": "no"}}, "receive_errors"),
        ({"realtime_processing": {"translation": True}}, "realtime_processing.translation"),
        ({"realtime_processing": {"custom_spelling": True}}, "custom_spelling"),
        ({"post_processing": {"summarization": True}}, "summarization"),
    ],
)
def test_what_is_not_to_be_had_is_refused_by_name(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(GladiaProtocolError, match=named):
        decode_request(requested(**changes))


@given(
    st.builds(
        LiveQuery,
        id=st.from_regex(r"[a-z0-9]{1,9}", fullmatch=True),
        sample_rate=st.integers(8_000, 48_000),
        channels=st.integers(1, 2),
        language=st.sampled_from(["", "fr", "fr-CA"]),
        receive_partial_transcripts=st.booleans(),
        receive_acknowledgments=st.booleans(),
        receive_lifecycle_events=st.booleans(),
    )
)
def test_an_address_says_all_of_a_session(query: LiveQuery) -> None:
    address = dict(parse_qsl(query.parameters({"room": "a b", "token": "t="})))
    assert (address["room"], address["token"]) == ("a b", "t=")
    assert live_query(address) == query


def test_an_address_that_cannot_be_is_refused_by_name() -> None:
    with pytest.raises(NameProblem, match="sample_rate"):
        live_query({"sample_rate": "1"})


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ('{"type": "audio_chunk", "data": {"chunk": "AAEC"}}', AudioChunk(Chunk(b"\x00\x01\x02"))),
        ('{"data":{"chunk":""},"type":"audio_chunk","more":1}', AudioChunk(Chunk(b""))),
        ('{"type":"stop_recording"}', StopRecording()),
    ],
)
def test_messages_are_read_as_clients_send_them(payload: str, message: object) -> None:
    assert decode(payload) == message


@pytest.mark.parametrize(
    ("payload", "of"),
    [
        ("", None),
        ("{}", None),
        ("[" * 9_999, None),
        ('{"type":"configure"}', None),
        ('{"type":"audio_chunk"}', "audio_chunk"),
        ('{"type":"audio_chunk","data":{"chunk":"*"}}', "audio_chunk"),
    ],
)
def test_anything_else_is_an_error_that_knows_what_it_is_of(payload: str, of: str | None) -> None:
    with pytest.raises(GladiaProtocolError) as error:
        decode(payload)
    assert error.value.of == of


@given(st.text(), st.binary())
def test_nothing_is_worse_than_an_error_of_the_protocol(payload: str, body: bytes) -> None:
    with suppress(GladiaProtocolError):
        decode(payload)
    with suppress(GladiaProtocolError):
        decode_request(body)


def test_a_transcript_has_every_field_that_clients_read() -> None:
    segment = Segment(
        room="",
        track="t",
        participant=Participant("t"),
        id="7",
        revision=1,
        final=False,
        start=0.5,
        end=1.25,
        text="Well, it's",
        words=[CaptionWord("Well,", 0.5, 0.7), CaptionWord("it's", 0.7, 0.9)],
        latency=Latency(),
        tentative="Ada",
    )
    told = Message("transcript", "s1", "2026-11-25T00:00:00+00:00", Transcript("7", False, utterance_of(segment, "en")))
    assert json.loads(encode(told)) == {
        "type": "transcript",
        "session_id": "s1",
        "created_at": "2026-11-25T00:00:00+00:00",
        "data": {
            "id": "7",
            "is_final": False,
            "utterance": {
                "text": "Well, it's Ada",
                "start": 0.5,
                "end": 1.25,
                "language": "en",
                "words": [
                    {"word": "Well,", "start": 0.5, "end": 0.7, "confidence": 1.0},
                    {"word": "it's", "start": 0.7, "end": 0.9, "confidence": 1.0},
                ],
                "confidence": 1.0,
                "channel": 0,
            },
        },
    }
