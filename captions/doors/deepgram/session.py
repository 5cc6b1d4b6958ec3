"""One connection on Deepgram's protocol: a single track, private to its client unless the address names a room."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from captions import __version__
from captions.doors.captioner import TrackError, TrackNews
from captions.doors.deepgram import messages as deepgram
from captions.doors.deepgram.query import ListenQuery
from captions.doors.names import error_text
from captions.doors.one_track import DONE, OneTrackSession
from captions.doors.published_track import PublishedTrack
from captions.doors.service import Line, Service
from captions.stream.captions import CaptionWord, Participant, Segment, SpeechNotice
from captions.types import Flushed, TrackEvent

__all__ = ["DeepgramSession"]

_FINALIZE, _CLOSE = "finalize", "close"


class DeepgramSession(OneTrackSession):
    """Pass every payload to `receive`, in order, then call `disconnected`.

    Words come cumulatively in interim results, if asked for, and once more in the final one of their segment. The last
    final of a spurt has `speech_final`; where its words were all given before, an empty one has.
    """

    def __init__(self, service: Service, line: Line, query: ListenQuery, participant: Participant) -> None:
        super().__init__(service, line, participant, query.room)
        info = service.engine.info
        self._query = query
        self._codec = query.codec
        self._ticks = 0
        self._speaking = False
        self._speech_open = False
        self._finalizing = 0
        self._finalized = False
        self._last_word_end = 0.0
        request_id = service.new_id()
        self._metadata = deepgram.ResultsMetadata(
            request_id, deepgram.ModelInfo(info.name, __version__, "captions"), info.name
        )
        self._opened = self.open(self._codec)
        unheard = self.unheard(query.language)
        if unheard is not None:
            reason = f"language {query.language}: {unheard}"
            self._send(deepgram.Error(reason, reason, "QUERY"))
            self.refuse(reason)

    async def receive(self, payload: bytes | str) -> int:
        """One frame of the client; waits while the track has its fill of audio."""
        if isinstance(payload, str):
            self._obey(payload)
        elif not payload:
            self._close()
        else:
            self._ticks += self._codec.ticks_in(payload)
            return await self.hear(self._opened, payload)
        return 1

    def told(self, news: TrackNews) -> None:
        match news:
            case SpeechNotice(speaking=speaking, at=at):
                self._speaking = speaking
                if speaking and self._query.vad_events:
                    self._send(deepgram.SpeechStarted(at))
            case Segment(final=True, words=[_, *_]):
                self._say_final(news)
            case Segment(final=False) if self._query.interim_results:
                self._say(news.words, news.tentative, news.start, news.end, is_final=False)
            case TrackError(code="model_failed", message=message):
                self._send(deepgram.Error(error_text(message), "the model has failed", "SERVER"))

    def flushed(self, track: PublishedTrack, flush_id: str) -> None:
        del track
        if flush_id == _CLOSE:
            self._say_goodbye()
            self._line.hang_up(DONE, "")
        else:
            self._finalizing -= 1
            if not self._finalized:
                self._say_nothing(from_finalize=True)
            self._finalized = False

    def at_last(self) -> None:
        if self._speech_open:
            self._say_nothing(speech_final=True)
        self._say_goodbye()

    def said(self, events: Sequence[TrackEvent]) -> None:
        if Flushed(None) in events:
            if self._speech_open:
                self._say_nothing(speech_final=True)
            if self._query.utterance_end_ms is not None and self._last_word_end:
                self._send(deepgram.UtteranceEnd(self._last_word_end))

    def _obey(self, payload: str) -> None:
        try:
            command = deepgram.decode(payload)
        except deepgram.DeepgramProtocolError as error:
            self.wrong()
            self._send(deepgram.Error(error_text(error), "the text frame is no command", "DATA"))
            return
        match command:
            case deepgram.Finalize():
                self._finalizing += 1
                self._opened.flush(_FINALIZE)
            case deepgram.CloseStream():
                self._close()

    def _close(self) -> None:
        self._opened.flush(_CLOSE)

    def _say_goodbye(self) -> None:
        created = datetime.fromtimestamp(self._service.wall_clock(), UTC).isoformat()
        duration = round(self._ticks / self._codec.sample_rate, 3)
        self._send(deepgram.Metadata(self._metadata.request_id, created, duration, self._query.channels))

    def _say_final(self, segment: Segment) -> None:
        """A segment is over. Its spurt is, too, once nobody speaks."""
        self._finalized = self._finalizing > 0
        self._last_word_end = segment.words[-1].end
        self._speech_open = self._speaking
        self._say(
            segment.words,
            "",
            segment.start,
            segment.end,
            is_final=True,
            speech_final=not self._speaking,
            from_finalize=self._finalized,
        )

    def _say_nothing(self, *, speech_final: bool = False, from_finalize: bool = False) -> None:
        """Mark the end of what was said by a result without words."""
        self._speech_open = self._speech_open and not speech_final
        at = self._last_word_end
        self._say([], "", at, at, is_final=True, speech_final=speech_final, from_finalize=from_finalize)

    def _say(
        self,
        words: list[CaptionWord],
        tentative: str,
        start: float,
        end: float,
        *,
        is_final: bool,
        speech_final: bool = False,
        from_finalize: bool = False,
    ) -> None:
        best = deepgram.alternative(words, tentative, punctuated=self._query.is_punctuated)
        self._send(
            deepgram.Results(
                start=start,
                duration=round(end - start, 3),
                is_final=is_final,
                speech_final=speech_final,
                from_finalize=from_finalize,
                channel=deepgram.Channel([best]),
                metadata=self._metadata,
            )
        )

    def _send(self, message: deepgram.ServerMessage) -> None:
        self._line.write(deepgram.encode(message))
