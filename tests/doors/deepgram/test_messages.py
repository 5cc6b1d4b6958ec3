"""Deepgram's messages: commands as clients send them, and text with and without punctuation."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captions.doors.deepgram.messages import (
    Alternative,
    Channel,
    CloseStream,
    DeepgramProtocolError,
    Finalize,
    KeepAlive,
    ModelInfo,
    Results,
    ResultsMetadata,
    Word,
    alternative,
    decode,
    encode,
)
from captions.stream.captions import CaptionWord

HELLO = [CaptionWord("Well,", 0.5, 0.7), CaptionWord("it's", 0.7, 0.9), CaptionWord("Ada.", 1.0, 1.25)]


@pytest.mark.parametrize(
    ("payload", "command"),
    [
        ('{"type": "KeepAlive"}', KeepAlive()),
        ('{"type":"Finalize"}', Finalize()),
        ('{"type":"CloseStream","more":1}', CloseStream()),
    ],
)
def test_commands_are_read_as_clients_send_them(payload: str, command: object) -> None:
    assert decode(payload) == command


@pytest.mark.parametrize("payload", ["", "{}", "[]", '{"type":"Configure"}', '{"type":1}', "[" * 9_999])
def test_anything_else_is_an_error_of_the_protocol(payload: str) -> None:
    with pytest.raises(DeepgramProtocolError):
        decode(payload)


@given(st.text())
def test_no_text_is_worse_than_an_error_of_the_protocol(payload: str) -> None:
    with suppress(DeepgramProtocolError):
        decode(payload)


def test_words_are_told_both_ways_and_the_text_as_it_was_asked_for() -> None:
    words = [
        Word("well", 0.5, 0.7, 1.0, "Well,"),
        Word("it's", 0.7, 0.9, 1.0, "it's"),
        Word("ada", 1.0, 1.25, 1.0, "Ada."),
    ]
    assert alternative(HELLO, "Who", punctuated=True) == Alternative("Well, it's Ada. Who", 1.0, words)
    assert alternative(HELLO, "Who are", punctuated=False) == Alternative("well it's ada who are", 1.0, words)
    assert alternative([], "", punctuated=True) == Alternative("", 0.0, [])


def test_a_result_has_every_field_that_clients_read() -> None:
    metadata = ResultsMetadata("r1", ModelInfo("tiny", "1", "captions"), "tiny")
    channel = Channel([alternative([], "it", punctuated=True)])
    message = Results(0.5, 0.25, True, True, False, channel, metadata)
    assert json.loads(encode(message)) == {
        "type": "Results",
        "start": 0.5,
        "duration": 0.25,
        "is_final": True,
        "speech_final": True,
        "from_finalize": False,
        "channel": {"alternatives": [{"transcript": "it", "confidence": 1.0, "words": []}]},
        "metadata": {
            "request_id": "r1",
            "model_info": {"name": "tiny", "version": "1", "arch": "captions"},
            "model_uuid": "tiny",
        },
        "channel_index": [0, 1],
    }
