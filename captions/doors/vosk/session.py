"""One connection on Vosk's protocol: a single track, private to its client unless the address names a room."""

from __future__ import annotations

from collections import deque

from captions.doors.captioner import TrackNews
from captions.doors.one_track import DONE, OneTrackSession
from captions.doors.published_track import PublishedTrack
from captions.doors.service import Line, Service
from captions.doors.vosk import messages as vosk
from captions.stream.captions import Participant, Segment
from captions.stream.codec import Codec

__all__ = ["VoskSession"]

_DEFAULT_RATE = 8_000
_END, _RESET = "end", "reset"


class VoskSession(OneTrackSession):
    """Pass every payload to `receive`, in order, then call `disconnected`.

    A message of audio is answered at once, with what is known by then: the oldest final segment that was not told yet,
    or else the text under way. A client that sends faster than the model hears waits for its reply.
    """

    def __init__(self, service: Service, line: Line, participant: Participant, room: str | None) -> None:
        super().__init__(service, line, participant, room)
        self._sample_rate = _DEFAULT_RATE
        self._words = True
        self._finals: deque[Segment] = deque()
        self._under_way = ""

    async def receive(self, payload: bytes | str) -> int:
        if isinstance(payload, bytes):
            commands = await self.hear(self._begin(), payload)
            self._reply()
            return commands
        try:
            self._obey(vosk.decode_control(payload))
        except vosk.VoskProtocolError as error:
            self.refuse(error)
        return 1

    def told(self, news: TrackNews) -> None:
        match news:
            case Segment(final=True):
                self._under_way = ""
                if news.words:
                    self._finals.append(news)
            case Segment():
                self._under_way = f"{news.text} {news.tentative}".strip()

    def flushed(self, track: PublishedTrack, flush_id: str) -> None:
        del track
        self._tell_the_rest()
        if flush_id == _END:
            self._line.hang_up(DONE, "")

    def at_last(self) -> None:
        """A client that waits for its next reply has it in this one; no lag comes of it, as no more is read."""
        if self._finals:
            self._tell_the_rest()

    def _obey(self, control: vosk.Control) -> None:
        match control:
            case vosk.Settings():
                self._configure(control)
            case vosk.EndOfFile():
                self._begin().flush(_END)
            case vosk.Reset():
                self._begin().flush(_RESET)

    def _configure(self, settings: vosk.Settings) -> None:
        unheard = self.unheard(settings.language)
        if settings.language is not None and self._track is not None:
            self._line.write(vosk.changed(unheard is None))
        elif unheard is not None:
            raise vosk.VoskProtocolError(unheard)
        if settings.words is not None:
            self._words = settings.words
        if settings.sample_rate is not None:
            if self._track is not None and settings.sample_rate != self._sample_rate:
                raise vosk.VoskProtocolError("the sample rate cannot change once audio has come")
            self._sample_rate = int(settings.sample_rate)

    def _begin(self) -> PublishedTrack:
        return self.open(Codec("pcm_s16le", self._sample_rate))

    def _reply(self) -> None:
        if self._finals:
            self._line.write(vosk.result([self._finals.popleft()], words=self._words))
        else:
            self._line.write(vosk.partial(self._under_way))

    def _tell_the_rest(self) -> None:
        self._line.write(vosk.result(self._finals, words=self._words))
        self._finals.clear()
