"""JSON messages of Jitsi, Deepgram, Gladia, OpenAI and Vosk: read, or refused by an error of that protocol."""

from __future__ import annotations

from captions.doors.deepgram import messages as deepgram
from captions.doors.gladia import messages as gladia
from captions.doors.jitsi import messages as jitsi
from captions.doors.names import error_text
from captions.doors.openai import messages as openai
from captions.doors.vosk import messages as vosk

__all__ = ["check", "seeds"]

_SEEDS = (
    b'j{"event":"start","sequenceNumber":"1","start":{"tag":"a","mediaFormat":{"encoding":"opus","sampleRate":48000}}}',
    b'j{"event":"media","media":{"tag":"a","chunk":"1","timestamp":"960","payload":"CAEC"}}',
    b'j{"event":"ping","id":1}',
    b'd{"type":"KeepAlive"}',
    b'd{"type":"Finalize"}',
    b'g{"type":"audio_chunk","data":{"chunk":"AAAA"}}',
    b'g{"type":"stop_recording"}',
    b'r{"encoding":"wav/pcm","bit_depth":16,"sample_rate":16000,"language_config":{"languages":["fr"]}}',
    b'r{"messages_config":{"receive_errors":true},"realtime_processing":{"translation":false}}',
    b'o{"type":"input_audio_buffer.append","audio":"AAAA"}',
    b'o{"type":"session.update","session":{"type":"transcription","audio":{"input":{"format":{"type":"audio/pcm"}}}}}',
    b'v{"config":{"sample_rate":16000,"words":1}}',
    b'v{"eof":1}',
    *(door + b'{"a":' * 1_000 for door in (b"j", b"d", b"g", b"r", b"o", b"v")),
)


def seeds() -> list[bytes]:
    return list(_SEEDS)


def check(data: bytes) -> None:
    """The first byte chooses the protocol."""
    text = data[1:].decode(errors="replace")
    try:
        match data[:1]:
            case b"j":
                jitsi.decode(text)
            case b"d":
                deepgram.decode(text)
            case b"g":
                gladia.decode(text)
            case b"r":
                gladia.decode_request(data[1:])
            case b"o":
                openai.decode(text)
            case _:
                vosk.decode_control(text)
    except (
        jitsi.JitsiProtocolError,
        deepgram.DeepgramProtocolError,
        gladia.GladiaProtocolError,
        openai.OpenAIProtocolError,
        vosk.VoskProtocolError,
    ) as error:
        error_text(error).encode()
