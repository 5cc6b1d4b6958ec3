"""For LiveKit (extra `livekit`): `STT`, by which an agent hears, and an agent that captions rooms (`worker.py`)."""

from captions.livekit.plugin import STT, SpeechStream

__all__ = ["STT", "SpeechStream"]
