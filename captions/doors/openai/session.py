"""One connection on OpenAI's realtime protocol: one track, private to its client unless the address names a room."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from captions.doors.captioner import TrackNews
from captions.doors.names import error_text
from captions.doors.one_track import OneTrackSession
from captions.doors.openai import messages as openai
from captions.doors.published_track import PublishedTrack
from captions.doors.service import Line, Service
from captions.stream.captions import Participant, Segment, SpeechNotice
from captions.stream.codec import Codec
from captions.types import SAMPLE_RATE, Flushed, TrackEvent

__all__ = ["OpenAISession"]

_COMMIT, _CLEAR = "commit", "clear"


@dataclass(slots=True)
class _Item:
    """A turn: the words that were told of it, and how much speech it was, in seconds.

    `cleared`: what was heard of it is not to be said, and if it has no more words, nothing is.
    """

    id: str
    began_at: float | None = None
    words: list[str] = field(default_factory=list)
    seconds: float = 0.0
    cleared: bool = False


class OpenAISession(OneTrackSession):
    """Pass every payload to `receive`, in order, then call `disconnected`.

    A turn is an item: a spurt, or what lies between two commits of the client. Its words come in deltas as they are
    committed, and once more when it is completed. Turns are told oldest first: the words that come belong to the oldest
    one. Clients take an error event for one that no second try cures, so that a server that stops or fails only closes.
    """

    def __init__(self, service: Service, line: Line, participant: Participant, room: str | None) -> None:
        super().__init__(service, line, participant, room)
        self._info = service.engine.info
        self._languages = list(self._info.languages)
        self._detects_turns = True
        self._items: deque[_Item] = deque()
        self._committed: str | None = None
        self._segment = ""
        self._told = 0
        self._uncommitted = 0
        self._clearing = 0
        self._session_id = service.new_id()
        self._opened = self.open(Codec("pcm_s16le", SAMPLE_RATE))
        self._send(openai.SessionCreated(service.new_id(), self._session_object()))

    async def receive(self, payload: bytes | str) -> int:
        """One event of the client; waits while the track has its fill of audio."""
        try:
            match openai.decode(payload):
                case openai.Append(audio=audio):
                    self._uncommitted += len(audio)
                    return await self.hear(self._opened, audio)
                case openai.SessionUpdate() as update:
                    self._update(update)
                case openai.Commit(event_id=event_id):
                    self._commit(event_id)
                case openai.Clear():
                    self._clearing += 1
                    self._uncommitted = 0
                    self._opened.flush(_CLEAR)
        except openai.OpenAIProtocolError as error:
            self.wrong()
            self._send(openai.Error.of(self._service.new_id(), error, error_text(error)))
        return 1

    def told(self, news: TrackNews) -> None:
        match news:
            case SpeechNotice(speaking=True, at=at) if self._detects_turns:
                item = _Item(self._service.new_id(), at)
                self._items.append(item)
                self._send(openai.SpeechStarted(self._service.new_id(), round(at * 1_000), item.id))
            case SpeechNotice(speaking=False, at=at) if self._detects_turns and self._items:
                self._stop(self._items[-1], at)
            case Segment():
                self._say(news)

    def flushed(self, track: PublishedTrack, flush_id: str) -> None:
        del track
        if flush_id == _CLEAR:
            self._clearing -= 1
            self._items = deque(_Item(self._service.new_id(), cleared=True) for _ in self._items)
            self._send(openai.Cleared(self._service.new_id()))
        else:
            item = self._items[0] if self._items else self._begin()
            self._tell_committed(item)
            self._complete()

    def at_last(self) -> None:
        while self._items:
            self._tell_committed(self._items[0])
            self._complete()

    def said(self, events: Sequence[TrackEvent]) -> None:
        if self._detects_turns and self._items and Flushed(None) in events:
            self._complete()

    def _update(self, update: openai.SessionUpdate) -> None:
        wanted = update.session.audio.input
        if wanted.transcription is not None:
            asked = [*(wanted.transcription.languages or ()), *filter(None, [wanted.transcription.language])]
            for language in asked:
                unheard = self.unheard(language)
                if unheard is not None:
                    where = "session.audio.input.transcription.language"
                    raise openai.OpenAIProtocolError("invalid_value", f"{language}: {unheard}", where, update.event_id)
            self._languages = asked or self._languages
        if wanted.turn_detection is None:
            self._detects_turns = False
        elif isinstance(wanted.turn_detection, dict):
            self._detects_turns = True
        self._send(openai.SessionUpdated(self._service.new_id(), self._session_object()))

    def _session_object(self) -> dict[str, object]:
        return openai.session_object(
            self._session_id, self._info.name, self._languages, detects_turns=self._detects_turns
        )

    def _commit(self, event_id: str | None) -> None:
        if not self._uncommitted:
            raise openai.OpenAIProtocolError(
                "input_audio_buffer_commit_empty", "no audio has come since the last turn", None, event_id
            )
        self._uncommitted = 0
        self._opened.flush(_COMMIT)

    def _begin(self) -> _Item:
        item = _Item(self._service.new_id())
        self._items.append(item)
        return item

    def _stop(self, item: _Item, at: float) -> None:
        """The speech of a turn is over; its last words may still come."""
        self._uncommitted = 0
        if item.began_at is not None:
            item.seconds = round(at - item.began_at, 3)
        self._send(openai.SpeechStopped(self._service.new_id(), round(at * 1_000), item.id))
        self._tell_committed(item)

    def _tell_committed(self, item: _Item) -> None:
        if item.id != self._committed:
            self._send(openai.Committed(self._service.new_id(), item.id, self._committed))
            self._committed = item.id

    def _say(self, segment: Segment) -> None:
        """The words of a segment that are new, as the next ones of the oldest turn."""
        told, self._segment = (self._told if segment.id == self._segment else 0), segment.id
        new = [word.text for word in segment.words[told:]]
        self._told = told + len(new)
        if not new or self._clearing:
            return
        item = self._items[0] if self._items else self._begin()
        space = " " if item.words else ""
        item.words += new
        self._send(openai.Delta(self._service.new_id(), item.id, space + " ".join(new)))

    def _complete(self) -> None:
        item = self._items.popleft()
        if item.words or not item.cleared:
            text = " ".join(item.words)
            self._send(openai.Completed.of(self._service.new_id(), item.id, text, item.seconds))

    def _send(self, event: openai.ServerEvent) -> None:
        self._line.write(openai.encode(event))
