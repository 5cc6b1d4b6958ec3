"""Vosk's messages, byte for byte as its clients send and expect them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captions.doors.vosk.messages import (
    EndOfFile,
    Reset,
    Settings,
    VoskProtocolError,
    decode_control,
    partial,
    result,
)
from captions.stream.captions import CaptionWord, Latency, Participant, Segment


def segment(*words: CaptionWord) -> Segment:
    text = " ".join(word.text for word in words)
    return Segment("r", "t", Participant("p"), "1", 3, True, words[0].start, words[-1].end, text, [*words], Latency())


HELLO = segment(CaptionWord("Hello", 0.5, 0.9), CaptionWord("there.", 1.0, 1.25))
BYE = segment(CaptionWord("Bye.", 2.0, 2.5))


@pytest.mark.parametrize("payload", ['{"eof" : 1}', '{"eof":1}', '{ "eof": true }', '{"eof": "1"}', '{"eof":1,"x":2}'])
def test_the_end_of_the_audio_is_known_however_it_is_spelt(payload: str) -> None:
    assert decode_control(payload) == EndOfFile()


def test_settings_say_the_rate_and_whether_to_tell_words() -> None:
    assert decode_control('{"config": {"sample_rate": 16000}}') == Settings(16_000.0)
    assert decode_control('{"config": {"sample_rate": "48000.0", "words": 0}}') == Settings(48_000.0, False)
    assert decode_control('{"config": {"phrase_list": ["zero"], "max_alternatives": 1, "language": "fr"}}') == Settings(
        language="fr"
    )


def test_a_reset_is_one() -> None:
    assert decode_control('{"reset" : 1}') == Reset()


@pytest.mark.parametrize(
    "payload", ["", "{}", "[]", "no JSON", '{"eof": 0}', '{"config": {"sample_rate": 1}}', '{"config": 3}', "[" * 9_999]
)
def test_nonsense_is_an_error_of_the_protocol(payload: str) -> None:
    with pytest.raises(VoskProtocolError):
        decode_control(payload)


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5).map(str))
def test_no_text_is_worse_than_an_error_of_the_protocol(payload: str) -> None:
    with suppress(VoskProtocolError):
        decode_control(payload)


def test_replies_are_as_clients_read_them() -> None:
    assert partial("it was") == '{"partial":"it was"}'
    assert result([HELLO], words=True) == (
        '{"text":"Hello there.","result":[{"conf":1.0,"end":0.9,"start":0.5,"word":"Hello"},'
        '{"conf":1.0,"end":1.25,"start":1.0,"word":"there."}]}'
    )
    assert result([HELLO, BYE], words=False) == '{"text":"Hello there. Bye."}'
    assert result([], words=True) == '{"text":""}'
