"""MediaJSON as the videobridge writes it, and what jitsi-meet reads of ours."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captions.doors.jitsi.messages import (
    STABLE,
    ClientEvent,
    CustomParameters,
    JitsiProtocolError,
    Media,
    MediaEvent,
    MediaFormat,
    Participant,
    Ping,
    SessionEnd,
    Start,
    StartEvent,
    Stop,
    StopEvent,
    decode,
    pong,
    result,
)

START = (
    '{"event":"start","sequenceNumber":"1","start":{"tag":"abcd1234-a0","mediaFormat":{"encoding":"opus",'
    '"sampleRate":48000,"channels":2,"parameters":{"useinbandfec":"1"}},"customParameters":{"endpointId":"abcd1234"}},'
    '"event":"start"}'
)
MEDIA = (
    '{"event":"media","sequenceNumber":"2","media":{"tag":"abcd1234-a0","chunk":"65537","timestamp":"4294967297",'
    '"payload":"eAA=","audioLevel":38,"vad":true},"event":"media"}'
)
KNOWN: list[tuple[str, ClientEvent]] = [
    (
        START,
        StartEvent(Start("abcd1234-a0", MediaFormat("opus", 48_000, 2), CustomParameters("abcd1234"))),
    ),
    (MEDIA, MediaEvent(Media("abcd1234-a0", 65_537, 4_294_967_297, b"x\x00", 38))),
    ('{"event":"stop","sequenceNumber":"9","stop":{"tag":"abcd1234-a0"}}', StopEvent(Stop("abcd1234-a0"))),
    ('{"event":"ping","id":7}', Ping(7)),
    ('{"event":"session-end"}', SessionEnd()),
]


@pytest.mark.parametrize(("payload", "event"), KNOWN)
def test_events_are_read_as_the_bridge_writes_them(payload: str, event: ClientEvent) -> None:
    assert decode(payload) == event


@pytest.mark.parametrize(
    "payload",
    ['{"event":"info","application":"jitsi-videobridge"}', '{"event":"sources","exports":["a-a0"],"requests":[]}'],
)
def test_events_that_are_no_business_of_ours_are_passed_over(payload: str) -> None:
    assert decode(payload) is None


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "{}",
        "[]",
        '{"event":1}',
        '{"event":"media"}',
        MEDIA.replace("eAA=", "no base64"),
        MEDIA.replace('"65537"', '"many"'),
        MEDIA.replace("38", "138"),
        START.replace("abcd1234-a0", "two\\nlines"),
        "[" * 9_999,
    ],
)
def test_nonsense_is_an_error_of_the_protocol(payload: str) -> None:
    with pytest.raises(JitsiProtocolError):
        decode(payload)


@given(st.text() | st.dictionaries(st.text(), st.none() | st.text() | st.integers()).map(json.dumps))
def test_no_text_is_worse_than_an_error_of_the_protocol(payload: str) -> None:
    with suppress(JitsiProtocolError):
        decode(payload)


def test_a_ping_is_answered_with_its_number() -> None:
    assert pong(Ping(7)) == '{"event":"pong","id":7}'


@pytest.mark.parametrize(("stability", "is_interim"), [(STABLE, True), (None, False)])
def test_a_result_has_every_field_that_jitsi_meet_reads(stability: float | None, is_interim: bool) -> None:
    message = json.loads(result("m1", "it was", Participant("abcd1234", "abcd1234-a0"), "en", 1_700, stability))
    assert message == {
        "event": "transcription-result",
        "type": "transcription-result",
        "message_id": "m1",
        "is_interim": is_interim,
        "stability": stability or 1.0,
        "language": "en",
        "transcript": [{"text": "it was"}],
        "participant": {"id": "abcd1234", "tag": "abcd1234-a0"},
        "timestamp": 1_700,
    }
