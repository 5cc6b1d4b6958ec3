"""Evidence of silence that needs no decoding: what a packet says of itself, and what the SFU says of it.

- DTX: a packet of its table-of-contents byte alone, or with one more (RFC 6716, section 2.1.9).
- The sender's audio level (RFC 6464), where the SFU passes it on.
- The voice activity flags that open every SILK and hybrid frame (RFC 6716, section 4.2.3): coded as bits of even
  odds at the very start, so they are the frame's first bits. CELT-only packets have none.

None of this finds speech, and none is needed to: what is not surely silent is decoded and heard.
"""

from __future__ import annotations

__all__ = ["QUIETEST_SPEECH_DBOV", "surely_silent"]

QUIETEST_SPEECH_DBOV = 60
"""Levels (in -dBov) from here on are silence: a quiet talker in a bad room is heard at about 45."""

_FIRST_CELT_ONLY = 16
_FIRST_HYBRID = 12
_SILK_FRAMES = (1, 1, 2, 3)
"""20 ms SILK frames in one Opus frame of 10, 20, 40 and 60 ms; hybrid frames last 10 or 20 ms and hold one."""


def surely_silent(packet: bytes, level: int | None) -> bool:
    """Whether an Opus packet needs no decoding to know that nobody speaks in it."""
    if len(packet) <= 2:
        return True
    if level is not None:
        return level >= QUIETEST_SPEECH_DBOV
    config, stereo, frames = packet[0] >> 3, packet[0] & 4, packet[0] & 3
    if config >= _FIRST_CELT_ONLY or frames == 3:
        return False
    silk_frames = 1 if config >= _FIRST_HYBRID else _SILK_FRAMES[config & 3]
    if frames == 0:
        return _no_voice(packet[1], silk_frames, bool(stereo))
    if frames == 2 or len(packet) % 2 == 0:
        return False
    second = 1 + (len(packet) - 1) // 2
    return all(_no_voice(packet[at], silk_frames, bool(stereo)) for at in (1, second))


def _no_voice(first_byte: int, silk_frames: int, stereo: bool) -> bool:
    """Whether no voice flag of a frame is set.

    Its first byte has a flag for each SILK frame and one for spare copies; stereo repeats both for the side channel.
    """
    mid = first_byte >> (8 - silk_frames)
    if not stereo:
        return mid == 0
    side = (first_byte >> (8 - 2 * silk_frames - 1)) & ((1 << silk_frames) - 1)
    return mid == 0 and side == 0
