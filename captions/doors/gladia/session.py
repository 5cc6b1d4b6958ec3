"""Live sessions of Gladia's clients: how one is opened by POST, and the connection that it then is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from captions.doors.captioner import TrackError, TrackNews
from captions.doors.gladia import messages as gladia
from captions.doors.languages import hears, unheard_text
from captions.doors.names import error_text
from captions.doors.one_track import DONE, OneTrackSession
from captions.doors.published_track import PublishedTrack
from captions.doors.service import Line, Service
from captions.stream.captions import Participant, Segment, SpeechNotice

__all__ = ["GladiaSession", "open_live"]

_STOP = "stop"
_SOME_LANGUAGE = "en"
"""What a model's words are said to be in that tells no language: clients cannot do without one."""


def open_live(service: Service, body: bytes, address: str, more: dict[str, str]) -> gladia.LiveAnswer:
    """The answer to a request for a session: its address, which says all there is to know of it, and `more`.

    So no session is kept until its connection comes, and that may come to another node.

    Raises:
        GladiaProtocolError: the request cannot be read, or asks for what is not to be had.
    """
    request = gladia.decode_request(body)
    known = service.engine.info.languages
    heard = next((language for language in request.languages if hears(known, language)), "")
    if request.languages and not heard:
        raise gladia.GladiaProtocolError(f"language_config.languages: {unheard_text(known)}")
    query = request.query(service.new_id(), heard)
    return gladia.LiveAnswer(query.id or "", _now(service), f"{address}?{query.parameters(more)}")


class GladiaSession(OneTrackSession):
    """Pass every payload to `receive`, in order, then call `disconnected`.

    An utterance is a segment: partial transcripts of it, if asked for, have its words so far, and its final one all.
    """

    def __init__(
        self, service: Service, line: Line, query: gladia.LiveQuery, participant: Participant, room: str | None
    ) -> None:
        super().__init__(service, line, participant, room)
        self._query = query
        self._id = query.id or service.new_id()
        known = next((known for known in service.engine.info.languages if known != "und"), _SOME_LANGUAGE)
        self._language = query.language or known
        self._second_bytes = query.codec.second_bytes or 1
        self._bytes = 0
        self._heard_to_s = 0.0
        self._speaking = False
        self._stopping = False
        self._opened = self.open(query.codec)
        unheard = self.unheard(query.language)
        if unheard is not None:
            self.refuse(f"language {query.language}: {unheard}")

    async def receive(self, payload: bytes | str) -> int:
        """One frame of the client; waits while the track has its fill of audio."""
        if isinstance(payload, bytes):
            return await self._listen(payload)
        try:
            message = gladia.decode(payload)
        except gladia.GladiaProtocolError as error:
            self.wrong()
            if error.of is not None:
                self._acknowledge(error.of, error=error_text(error))
            elif self._query.receive_errors:
                self._send("error", {"message": error_text(error)})
            return 1
        match message:
            case gladia.AudioChunk(data):
                return await self._listen(data.chunk)
            case gladia.StopRecording():
                self._stop()
        return 1

    def told(self, news: TrackNews) -> None:
        query = self._query
        match news:
            case SpeechNotice(speaking=speaking, at=at):
                self._speaking = speaking
                if query.receive_speech_events:
                    self._send("speech_start" if speaking else "speech_end", {"time": at, "channel": 0})
            case Segment(final=final):
                self._heard_to_s = news.end
                if query.receive_final_transcripts if final else query.receive_partial_transcripts:
                    self._transcribe(news)
            case TrackError(code="model_failed", message=message) if query.receive_errors:
                self._send("error", {"message": error_text(message)})

    def flushed(self, track: PublishedTrack, flush_id: str) -> None:
        del track, flush_id
        self.at_last()
        self._line.hang_up(DONE, "")

    def at_last(self) -> None:
        """What follows the last transcript. Of the audio only its length is told, not its whole transcript again."""
        seconds = self._seconds(self._bytes)
        if self._query.receive_lifecycle_events:
            self._send("end_recording", {"recording_duration": seconds})
        if self._query.receive_post_processing_events:
            metadata = {
                "audio_duration": seconds,
                "number_of_distinct_channels": 1,
                "billing_time": 0.0,
                "transcription_time": seconds,
            }
            self._send("post_final_transcript", {"metadata": metadata})
        if self._query.receive_lifecycle_events:
            self._send("end_session")

    async def _listen(self, audio: bytes) -> int:
        if self._stopping:
            return 1
        if not self._bytes and self._query.receive_lifecycle_events:
            self._send("start_recording")
        before = self._bytes
        self._bytes += len(audio)
        commands = await self.hear(self._opened, audio)
        if self._query.receive_acknowledgments:
            range_s = [self._seconds(before), self._seconds(self._bytes)]
            self._acknowledge("audio_chunk", {"byte_range": [before, self._bytes], "time_range": range_s})
        return commands

    def _stop(self) -> None:
        """A client may say it twice."""
        if self._stopping:
            return
        self._stopping = True
        seconds = self._seconds(self._bytes)
        left = max(0.0, round(seconds - self._heard_to_s, 3)) if self._speaking else 0.0
        self._acknowledge("stop_recording", {"recording_duration": seconds, "recording_left_to_process": left})
        self._opened.flush(_STOP)

    def _transcribe(self, segment: Segment) -> None:
        if not segment.words and not segment.tentative:
            return
        utterance = gladia.utterance_of(segment, self._language)
        self._send("transcript", gladia.Transcript(segment.id, segment.final, utterance))

    def _acknowledge(self, of: gladia.Obeyed, data: dict[str, Any] | None = None, error: str | None = None) -> None:
        if not self._query.receive_acknowledgments:
            return
        why = None if error is None else {"message": error}
        told = gladia.Acknowledgement(of, self._id, _now(self._service), error is None, why, data)
        self._line.write(gladia.encode(told))

    def _send(self, kind: str, data: gladia.Transcript | dict[str, Any] | None = None) -> None:
        self._line.write(gladia.encode(gladia.Message(kind, self._id, _now(self._service), data)))

    def _seconds(self, size: int) -> float:
        return round(size / self._second_bytes, 3)


def _now(service: Service) -> str:
    return datetime.fromtimestamp(service.wall_clock(), UTC).isoformat()
