"""OpenAI's realtime events: as its clients send them, and what is wrong with others by the codes they branch on."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captions.doors.openai.messages import (
    Append,
    Clear,
    Commit,
    Completed,
    Delta,
    Error,
    Format,
    OpenAIProtocolError,
    SessionUpdate,
    Transcription,
    decode,
    encode,
)

UPDATE = {
    "type": "session.update",
    "event_id": "e1",
    "session": {
        "type": "transcription",
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24_000},
                "noise_reduction": {"type": "near_field"},
                "transcription": {"model": "gpt-4o-mini-transcribe", "language": "en", "prompt": "names"},
                "turn_detection": {"type": "server_vad", "silence_duration_ms": 350},
            }
        },
        "include": ["item.input_audio_transcription.logprobs"],
    },
}


def test_a_session_update_is_read_as_the_clients_send_it() -> None:
    update = decode(json.dumps(UPDATE))
    assert isinstance(update, SessionUpdate)
    assert update.event_id == "e1"
    assert update.session.audio.input.format == Format()
    assert update.session.audio.input.transcription == Transcription("gpt-4o-mini-transcribe", "en")
    assert update.session.audio.input.turn_detection == {"type": "server_vad", "silence_duration_ms": 350}


def test_audio_and_commands_are_read() -> None:
    assert decode('{"type": "input_audio_buffer.append", "audio": "AAEC"}') == Append(audio=b"\x00\x01\x02")
    assert decode('{"type": "input_audio_buffer.commit", "event_id": "e2"}') == Commit("e2")
    assert decode('{"type": "input_audio_buffer.clear"}') == Clear()


@pytest.mark.parametrize(
    ("payload", "code", "param", "event_id"),
    [
        ("no JSON", "invalid_json", None, None),
        ("[" * 9_999, "invalid_value", None, None),
        ('{"type": "input_audio_buffer.clear", "x": ' + "[" * 9_999, "invalid_json", None, None),
        ("[]", "invalid_value", None, None),
        ('{"type": "response.create", "event_id": "e3"}', "invalid_value", "type", "e3"),
        ('{"type": "input_audio_buffer.append", "audio": 3}', "invalid_value", "audio", None),
        ('{"type": "input_audio_buffer.append", "audio": "no base64", "event_id": 4}', "invalid_value", "audio", None),
        (
            json.dumps(UPDATE).replace("24000", "16000"),
            "invalid_value",
            "session.audio.input.format",
            "e1",
        ),
        (
            json.dumps(UPDATE).replace('"transcription", "audio"', '"realtime", "audio"'),
            "invalid_value",
            "session.type",
            "e1",
        ),
    ],
)
def test_what_is_wrong_has_a_code_the_field_and_the_clients_own_id(
    payload: str, code: str, param: str | None, event_id: str | None
) -> None:
    with pytest.raises(OpenAIProtocolError) as wrong:
        decode(payload)
    assert wrong.value.code == code
    assert wrong.value.event_id is None or wrong.value.event_id == event_id
    assert wrong.value.param == param


@given(st.text() | st.dictionaries(st.text(), st.none() | st.text() | st.integers()).map(json.dumps))
def test_no_text_is_worse_than_an_error_of_the_protocol(payload: str) -> None:
    with suppress(OpenAIProtocolError):
        decode(payload)


def test_events_have_every_field_that_clients_read() -> None:
    assert json.loads(encode(Delta("e1", "i1", " best"))) == {
        "type": "conversation.item.input_audio_transcription.delta",
        "event_id": "e1",
        "item_id": "i1",
        "delta": " best",
        "content_index": 0,
    }
    assert json.loads(encode(Completed.of("e2", "i1", "the best", 1.5))) == {
        "type": "conversation.item.input_audio_transcription.completed",
        "event_id": "e2",
        "item_id": "i1",
        "transcript": "the best",
        "usage": {"type": "duration", "seconds": 1.5},
        "content_index": 0,
    }
    wrong = OpenAIProtocolError("invalid_value", "no", "type", "c1")
    assert json.loads(encode(Error.of("e3", wrong, "no")))["error"] == {
        "type": "invalid_request_error",
        "code": "invalid_value",
        "message": "no",
        "param": "type",
        "event_id": "c1",
    }
