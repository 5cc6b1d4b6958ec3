"""The protocols of captioning servers, each from messages to observations, behind one interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from bench.load.clips import AudioFormat
from bench.protocols.deepgram import DeepgramDialect
from bench.protocols.dialect import Dialect, DuePacket, Payload
from bench.protocols.gladia import GladiaDialect
from bench.protocols.in_rooms import EgressDialect, RtpDialect
from bench.protocols.jitsi import JitsiDialect
from bench.protocols.kyutai import KyutaiDialect
from bench.protocols.native import NativeDialect
from bench.protocols.openai import OpenAIDialect
from bench.protocols.vosk import VoskDialect
from bench.protocols.whisperlivekit import WhisperLiveKitDialect

__all__ = ["PROTOCOLS", "Dialect", "DuePacket", "Payload", "ProtocolName", "dialect_for"]

ProtocolName: TypeAlias = Literal[
    "native", "kyutai", "whisperlivekit", "vosk", "deepgram", "openai", "gladia", "jitsi", "egress", "rtp"
]
PROTOCOLS: tuple[ProtocolName, ...] = get_args(ProtocolName)


def dialect_for(
    protocol: ProtocolName,
    url: str,
    key: str | None,
    tracks: Sequence[str],
    audio_format: AudioFormat,
    language: str,
    clock_at: float,
) -> Dialect:
    """One connection's client. All but native, jitsi and rtp carry one track, in a format of their own."""
    match protocol:
        case "native":
            return NativeDialect(url, key, tracks, audio_format, "bench", clock_at)
        case "kyutai":
            return KyutaiDialect(url, key, tracks)
        case "whisperlivekit":
            return WhisperLiveKitDialect(url, key, tracks, language)
        case "vosk":
            return VoskDialect(url, key, tracks)
        case "deepgram":
            return DeepgramDialect(url, key, tracks, language)
        case "openai":
            return OpenAIDialect(url, key, tracks, language)
        case "gladia":
            return GladiaDialect(url, key, tracks, language)
        case "jitsi":
            return JitsiDialect(url, key, tracks, language)
        case "egress":
            return EgressDialect(url, key, tracks)
        case "rtp":
            return RtpDialect(url, key, tracks)
