"""Captions as LiveKit's frontends read them: transcription packets (the older way) and `lk.transcription` text streams.

A revision of a segment is a packet, and a text stream of its own that says the whole text: so livekit-agents publishes
what participants say, and so clients of either way replace what they have under a segment's id.
"""

from __future__ import annotations

import asyncio
import logging

from livekit import rtc
from livekit.agents.types import (
    ATTRIBUTE_TRANSCRIPTION_FINAL,
    ATTRIBUTE_TRANSCRIPTION_SEGMENT_ID,
    ATTRIBUTE_TRANSCRIPTION_TRACK_ID,
    TOPIC_TRANSCRIPTION,
)

from captions.doors.native.messages import Segment

__all__ = ["TranscriptionPublisher"]

log = logging.getLogger(__name__)


class TranscriptionPublisher:
    """`show` every revision as it comes; `run` publishes them, the longest waiting segment first.

    Publishing takes a while. Of a segment only the newest revision waits meanwhile, so that nobody falls behind the
    speech, and no more waits than there are segments open.
    """

    def __init__(self, room: rtc.Room, language: str) -> None:
        self._room = room
        self._language = language
        self._waiting: dict[str, Segment] = {}
        self._filled = asyncio.Event()

    def show(self, segment: Segment) -> None:
        if segment.text or segment.tentative or segment.final:
            self._waiting[segment.id] = segment
            self._filled.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._waiting:
                await self._publish(self._waiting.pop(next(iter(self._waiting))))

    async def _publish(self, segment: Segment) -> None:
        text = segment.text if segment.final else f"{segment.text} {segment.tentative}".strip()
        try:
            await self._packet(segment, text)
            await self._stream(segment, text)
        except (rtc.participant.PublishTranscriptionError, rtc.data_stream.StreamError, ConnectionError) as error:
            log.warning("a caption was not published: %s", error)

    async def _packet(self, segment: Segment, text: str) -> None:
        """`rtc.Transcription`: times in milliseconds on the track's clock."""
        told = rtc.TranscriptionSegment(
            id=segment.id,
            text=text,
            start_time=round(segment.start * 1_000),
            end_time=round(segment.end * 1_000),
            language=self._language,
            final=segment.final,
        )
        await self._room.local_participant.publish_transcription(
            rtc.Transcription(segment.participant.id, segment.track, [told])
        )

    async def _stream(self, segment: Segment, text: str) -> None:
        writer = await self._room.local_participant.stream_text(
            topic=TOPIC_TRANSCRIPTION,
            sender_identity=segment.participant.id,
            attributes={
                ATTRIBUTE_TRANSCRIPTION_FINAL: "true" if segment.final else "false",
                ATTRIBUTE_TRANSCRIPTION_SEGMENT_ID: segment.id,
                ATTRIBUTE_TRANSCRIPTION_TRACK_ID: segment.track,
            },
        )
        await writer.write(text)
        await writer.aclose()
