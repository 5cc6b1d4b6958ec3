"""Each peer's protocol, from literal payloads."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from bench.load.clips import AudioFormat
from bench.measure.events import Done, Seen, SeenWord, SpeechTurn, Trouble
from bench.protocols import PROTOCOLS, DuePacket, dialect_for
from bench.protocols.deepgram import DeepgramDialect
from bench.protocols.dialect import with_route
from bench.protocols.gladia import GladiaDialect
from bench.protocols.in_rooms import RtpDialect
from bench.protocols.jitsi import JitsiDialect
from bench.protocols.kyutai import KyutaiDialect
from bench.protocols.native import NativeDialect
from bench.protocols.openai import OpenAIDialect
from bench.protocols.vosk import VoskDialect
from bench.protocols.whisperlivekit import WhisperLiveKitDialect
from captions.doors.native import messages as native
from captions.stream import rtp


def test_routes() -> None:
    assert with_route("ws://host:1", "/v1/stream") == "ws://host:1/v1/stream"
    assert with_route("ws://host:1/other", "/v1/stream") == "ws://host:1/other"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_is_not_of_the_protocol_is_an_error(protocol: str) -> None:
    dialect = dialect_for(protocol, "ws://h:1", None, ["t"], AudioFormat(), "en", 0.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\w"):
        dialect.receive(b"\xc1", 1.0)


def test_native_carries_many_tracks() -> None:
    dialect = NativeDialect("ws://h:1", "secret", ["a", "b"], AudioFormat(), "room", 5.0)
    opening = [native.decode_client(payload, "msgpack") for payload in dialect.opening() if isinstance(payload, bytes)]
    assert opening == [native.Start("room", "a", "opus"), native.Start("room", "b", "opus"), native.Ping("clock", 5.0)]
    assert dialect.headers == {"Authorization": "Bearer secret"}
    (packet,) = dialect.audio([DuePacket("b", 70_000, b"opus", 1.5, 30)])
    assert isinstance(packet, bytes)
    assert native.decode_client(packet, "msgpack") == native.Audio("b", b"opus", 4_464, 67_200_000, 1.5, 30)


def test_native_gathers_packets_once_their_tracks_have_started() -> None:
    dialect = NativeDialect("ws://h:1", None, ["a", "b"], AudioFormat(), "room", 5.0)
    due = [DuePacket("a", 0, b"1", 1.5), DuePacket("b", 1, b"2", 1.6, 30)]
    assert len(dialect.audio(due)) == 2
    for message in (native.Started("a", 1), native.Started("b", 2)):
        assert dialect.receive(native.encode(message, "msgpack"), 1.0) == []
    (gathered,) = dialect.audio(due)
    assert isinstance(gathered, bytes)
    assert native.decode_client(gathered, "msgpack") == native.Packets(
        [native.TrackPacket(1, b"1", 0, 0, None, 1.5), native.TrackPacket(2, b"2", 1, 960, 30, 1.6)]
    )


def test_native_segments_turns_and_ends() -> None:
    dialect = NativeDialect("ws://h:1", None, ["a"], AudioFormat(), "room", 0.0)
    segment = native.Segment(
        room="room", track="a", participant=native.Participant("a"), id="7", revision=1, final=False, start=1.0,
        end=2.0, text="one", words=[native.CaptionWord("one", 1.0, 1.4)],
        latency=native.Latency(word_latency=9.5, send=1.0),
        tentative="two three",
    )  # fmt: skip
    said: list[native.ServerMessage] = [
        segment, native.SpeechNotice("a", True, 0.9), native.GapNotice("a", 1, 2, "overload"), native.Stopped("a"),
    ]  # fmt: skip
    seen = [one for message in said for one in dialect.receive(native.encode(message, "msgpack"), 3.0)]
    assert seen == [
        Seen("a", 3.0, "7", (SeenWord("one", 1.0, 1.4),), ("two", "three"), False, {"word_latency": 9.5, "send": 1.0}),
        SpeechTurn("a", 3.0, True, 0.9),
        Trouble("a", 3.0, "gap: overload", 1.0),
        Done("a", 3.0),
    ]


def test_kyutai_words_are_closed_as_they_come_and_end_later() -> None:
    dialect = KyutaiDialect("ws://h:1", None, ["t"])
    said = [
        {"type": "Ready"},
        {"type": "Word", "text": "bon", "start_time": 0.5},
        {"type": "EndWord", "stop_time": 0.8},
        {"type": "Step", "step_idx": 3, "prs": [0.1], "buffered_pcm": 0},
        {"type": "Word", "text": "jour", "start_time": 0.9},
        {"type": "Marker", "id": 1},
    ]
    seen = [one for message in said for one in dialect.receive(msgspec.msgpack.encode(message), 2.0)]
    assert seen == [
        Seen("t", 2.0, "1", (SeenWord("bon", 0.5),), (), True),
        Seen("t", 2.0, "1", (SeenWord("bon", 0.5, 0.8),), (), True),
        Seen("t", 2.0, "2", (SeenWord("jour", 0.9),), (), True),
        Done("t", 2.0),
    ]


def test_kyutai_audio_is_an_array_of_single_floats() -> None:
    pcm = np.linspace(-1, 1, 1_920, dtype="<f4")
    (payload,) = KyutaiDialect("ws://h:1", None, ["t"]).audio([DuePacket("t", 0, pcm.tobytes())])
    assert isinstance(payload, bytes)
    assert len(payload) == 9_619
    message = msgspec.msgpack.decode(payload)
    assert message["type"] == "Audio"
    assert np.array_equal(np.array(message["pcm"], np.float32), pcm)


def test_whisperlivekit_repeats_everything_and_only_changes_are_seen() -> None:
    dialect = WhisperLiveKitDialect("ws://h:1", None, ["t"], "en")
    assert dialect.url == "ws://h:1/asr?language=en"
    line = {"speaker": 1, "text": " It was", "start": "0:00:00", "end": "0:00:01"}
    silence = {"speaker": -2, "text": "", "start": "0:00:01", "end": "0:00:02"}
    said = [
        {"type": "config", "useAudioWorklet": True},
        {"status": "active_transcription", "lines": [], "buffer_transcription": "It"},
        {"status": "active_transcription", "lines": [line], "buffer_transcription": "the"},
        {"status": "active_transcription", "lines": [line], "buffer_transcription": "the"},
        {"status": "active_transcription", "lines": [line, silence], "buffer_transcription": ""},
        {"type": "ready_to_stop"},
    ]
    seen = [one for message in said for one in dialect.receive(msgspec.json.encode(message).decode(), 2.0)]
    it_was = (SeenWord("It"), SeenWord("was"))
    assert seen == [
        Seen("t", 2.0, "0", (), ("It",), False),
        Seen("t", 2.0, "0", it_was, ("the",), False),
        Seen("t", 2.0, "0", it_was, (), True),
        Done("t", 2.0),
    ]


def test_vosk_closes_with_text_and_ends_with_the_one_after_eof() -> None:
    dialect = VoskDialect("ws://h:1", None, ["t"])
    assert dialect.opening() == ['{"config":{"sample_rate":16000,"words":true}}']
    said = [
        '{"partial": "one to"}',
        '{"text": "one two", "result": [{"word": "one", "start": 0.1, "end": 0.3, "conf": 1.0}]}',
    ]
    seen = [one for payload in said for one in dialect.receive(payload, 2.0)]
    assert dialect.finishing("t") == ['{"eof" : 1}']
    seen += dialect.receive('{"text": "three"}', 3.0)
    assert seen == [
        Seen("t", 2.0, "0", (), ("one", "to"), False),
        Seen("t", 2.0, "0", (SeenWord("one", 0.1, 0.3),), (), True),
        Seen("t", 3.0, "1", (SeenWord("three"),), (), True),
        Done("t", 3.0),
    ]


def test_deepgram_interim_results_are_tentative() -> None:
    dialect = DeepgramDialect("ws://h:1", "secret", ["t"], "fr")
    assert "language=fr" in dialect.url
    assert dialect.headers == {"Authorization": "Token secret"}
    word = {"word": "bonjour", "punctuated_word": "Bonjour.", "start": 0.1, "end": 0.5, "confidence": 1.0}
    said = [
        {"type": "Metadata", "request_id": "1"},
        {"type": "SpeechStarted", "timestamp": 0.1},
        {"type": "Results", "is_final": False, "channel": {"alternatives": [{"transcript": "bon", "words": []}]}},
        {
            "type": "Results",
            "is_final": True,
            "channel": {"alternatives": [{"transcript": "Bonjour.", "words": [word]}]},
        },
    ]
    seen = [one for message in said for one in dialect.receive(msgspec.json.encode(message).decode(), 2.0)]
    dialect.finishing("t")
    seen += dialect.receive('{"type": "Metadata"}', 3.0)
    assert seen == [
        SpeechTurn("t", 2.0, True, 0.1),
        Seen("t", 2.0, "0", (), ("bon",), False),
        Seen("t", 2.0, "0", (SeenWord("Bonjour.", 0.1, 0.5),), (), True),
        Done("t", 3.0),
    ]


def test_openais_deltas_are_committed_and_its_last_turn_is_the_end() -> None:
    dialect = OpenAIDialect("ws://h:1", "secret", ["t"], "en")
    assert msgspec.json.decode(dialect.audio([DuePacket("t", 0, b"\x00\x01")])[0]) == {
        "type": "input_audio_buffer.append",
        "audio": "AAE=",
    }
    item = "conversation.item.input_audio_transcription"
    said = [
        {"type": "input_audio_buffer.speech_started", "audio_start_ms": 900, "item_id": "1"},
        {"type": f"{item}.delta", "item_id": "1", "delta": "one"},
        {"type": f"{item}.delta", "item_id": "1", "delta": " two"},
        {"type": f"{item}.completed", "item_id": "1", "transcript": "one two"},
    ]
    seen = [one for message in said for one in dialect.receive(msgspec.json.encode(message), 3.0)]
    one, two = SeenWord("one"), SeenWord("two")
    assert seen == [
        SpeechTurn("t", 3.0, True, 0.9),
        Seen("t", 3.0, "1", (one,), (), False),
        Seen("t", 3.0, "1", (one, two), (), False),
        Seen("t", 3.0, "1", (one, two), (), True),
    ]
    dialect.finishing("t")
    assert Done("t", 4.0) in dialect.receive(msgspec.json.encode(said[-1]), 4.0)


def test_gladias_partial_transcripts_are_tentative_and_its_address_is_what_the_server_answers() -> None:
    dialect = GladiaDialect("ws://h:1", "secret", ["t"], "en")
    assert (dialect.asks, dialect.headers) == ("http://h:1/v2/live", {"X-Gladia-Key": "secret"})
    assert msgspec.json.decode(dialect.request())["sample_rate"] == 16_000
    dialect.expected({"id": "1", "url": "ws://h:1/v2/live?id=1"})
    assert dialect.url == "ws://h:1/v2/live?id=1"
    assert dialect.audio([DuePacket("t", 0, b"\x00\x01")]) == ['{"type":"audio_chunk","data":{"chunk":"AAE="}}']
    words = [{"word": "one", "start": 0.1, "end": 0.3, "confidence": 1.0}]
    said = [
        {"type": "speech_start", "data": {"time": 0.1}},
        {"type": "transcript", "data": {"id": "7", "is_final": False, "utterance": {"text": "one to", "words": words}}},
        {"type": "transcript", "data": {"id": "7", "is_final": True, "utterance": {"text": "one", "words": words}}},
        {"type": "post_final_transcript", "data": {}},
    ]
    seen = [one for message in said for one in dialect.receive(msgspec.json.encode(message), 2.0)]
    assert dialect.finishing("t") == ['{"type":"stop_recording"}']
    assert seen == [
        SpeechTurn("t", 2.0, True, 0.1),
        Seen("t", 2.0, "7", (), ("one", "to"), False),
        Seen("t", 2.0, "7", (SeenWord("one", 0.1, 0.3),), (), True),
        Done("t", 2.0),
    ]


def test_jitsis_stable_texts_are_committed_and_what_follows_them_is_not() -> None:
    dialect = JitsiDialect("ws://h:1", None, ["a", "b"], "en")
    media = msgspec.json.decode(dialect.audio([DuePacket("b", 3, b"opus", level=30)])[0])["media"]
    assert media == {"tag": "b", "chunk": "3", "timestamp": "2880", "payload": "b3B1cw==", "audioLevel": "30"}
    seen: list[object] = []
    for text, stability in (("one", 0.9), ("two", 0.5), ("one two", None)):
        result = {
            "type": "transcription-result", "message_id": "7", "is_interim": stability is not None,
            "stability": stability, "participant": {"id": "b"}, "transcript": [{"text": text}],
        }  # fmt: skip
        seen += dialect.receive(msgspec.json.encode(result), 1.0)
    one, two = SeenWord("one"), SeenWord("two")
    assert seen == [
        Seen("b", 1.0, "7", (one,), (), False),
        Seen("b", 1.0, "7", (one,), ("two",), False),
        Seen("b", 1.0, "7", (one, two), (), True),
    ]


def test_rtp_is_datagrams_of_the_source_that_the_server_expects() -> None:
    dialect = RtpDialect("ws://h:1", None, ["a"])
    assert (dialect.url, dialect.watches) == ("http://h:1/v1/rtp", f"ws://h:1/v1/rooms/{dialect.room}/captions")
    dialect.expected("a", {"ssrc": 77, "id": "x"})
    (datagram,) = dialect.audio([DuePacket("a", 2, b"opus", level=30)])
    assert isinstance(datagram, bytes)
    assert rtp.head_of(datagram) == (0x90, 96, 2, 1_920, 77)
    assert rtp.audio_of(datagram, 1) == (b"opus", 30)
    assert dialect.finishing("a") == ["x"]
