"""What clients of Deepgram ask for in the address."""

from __future__ import annotations

import pytest

from captions.doors.deepgram.query import ListenQuery, listen_query
from captions.doors.names import NameProblem
from captions.stream.codec import Codec


def test_a_livekit_agents_address_is_understood() -> None:
    asked = listen_query(
        {
            "model": "nova-3",
            "punctuate": "true",
            "smart_format": "false",
            "no_delay": "true",
            "interim_results": "true",
            "encoding": "linear16",
            "vad_events": "true",
            "sample_rate": "16000",
            "channels": "1",
            "endpointing": "25",
            "filler_words": "true",
            "profanity_filter": "false",
            "numerals": "false",
            "mip_opt_out": "false",
            "language": "en-US",
        }
    )
    assert asked == ListenQuery("linear16", 16_000, 1, "en-US", True, True, False, True)
    assert asked.codec == Codec("pcm_s16le", 16_000)
    assert asked.is_punctuated


def test_opus_comes_a_packet_a_frame_at_its_own_clock() -> None:
    assert listen_query({"encoding": "opus", "sample_rate": "16000"}).codec == Codec("opus")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({}, "encoding"),
        ({"encoding": "mulaw"}, "encoding"),
        ({"encoding": "linear16", "sample_rate": "1"}, "sample_rate"),
        ({"encoding": "linear16", "channels": "9"}, "channels"),
        ({"encoding": "opus", "diarize": "true"}, "diarize"),
        ({"encoding": "opus", "redact": "pci"}, "redact"),
        ({"encoding": "opus", "callback": "http://127.0.0.1/"}, "callback"),
        ({"encoding": "opus", "room": "two\nlines"}, "room"),
    ],
)
def test_what_is_not_to_be_had_is_refused_by_name(query: dict[str, str], named: str) -> None:
    with pytest.raises(NameProblem, match=named):
        listen_query(query)
