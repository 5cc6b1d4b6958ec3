"""A speech-to-text plugin for LiveKit Agents (extra `livekit`): an agent's session hears through a Captions server.

Unlike plugins of Kyutai's protocol it gives interim texts that grow, a final one a sentence, the time of each word, and
where speech begins and ends. A lost connection is resumed first; only then does the framework begin anew.

    session = AgentSession(stt=captions.livekit.STT("wss://captions.example.org", api_key=..., room=ctx.room.name))
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from weakref import WeakSet

import msgspec
from livekit import rtc
from livekit.agents import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectionError,
    APIConnectOptions,
    APIStatusError,
    LanguageCode,
    NotGivenOr,
    stt,
)
from livekit.agents.utils import AudioBuffer
from livekit.agents.voice.io import TimedString

from captions.client import Client, ConnectError
from captions.doors.languages import hears, unheard_text
from captions.doors.native.messages import (
    Audio,
    CaptionWord,
    Error,
    FlushRequest,
    GapNotice,
    Participant,
    Ready,
    Segment,
    ServerMessage,
    SpeechNotice,
    Start,
    Stop,
    Stopped,
)

__all__ = ["STT", "SpeechStream"]

log = logging.getLogger(__name__)

_TRACK = "agent"
_USAGE_S = 5.0
_NO_WORDS_S = 2.0
"""Speech without a word is over so long after it ended; any other with its final segment."""
_RETRYABLE = ("overloaded", "draining", "model_failed")


class STT(stt.STT[str]):
    """`room`: whose watchers see the captions, too; without one the session has a room of its own, under a random name.

    `language`: what results are marked with; it must be one that the server hears.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        room: str | None = None,
        participant: Participant | None = None,
        language: str = "en",
    ) -> None:
        super().__init__(
            capabilities=stt.STTCapabilities(
                streaming=True, interim_results=True, aligned_transcript="word", offline_recognize=False
            )
        )
        self._url = url
        self._api_key = api_key
        self._room = room
        self._participant = participant
        self._language = language
        self._streams: WeakSet[SpeechStream] = WeakSet()

    @property
    def provider(self) -> str:
        return "captions"

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> SpeechStream:
        room = self._room or f"agent-{secrets.token_hex(16)}"
        start = Start(room, _TRACK, "pcm_s16le", self._participant, language=language or self._language)
        stream = SpeechStream(self, conn_options, self._url, self._api_key, start)
        self._streams.add(stream)
        return stream

    def update_options(self, *, language: str) -> None:
        """Of streams that begin from now on, and of those that run: see `SpeechStream.update_options`."""
        self._language = language
        for stream in self._streams:
            stream.update_options(language=language)

    async def _recognize_impl(
        self, buffer: AudioBuffer, *, language: NotGivenOr[str] = NOT_GIVEN, conn_options: APIConnectOptions
    ) -> stt.SpeechEvent:
        raise NotImplementedError("captions are of live speech: use stream()")


class SpeechStream(stt.SpeechStream):
    """One track. The framework pushes frames and reads events; each run of `_run` is a session of the server."""

    def __init__(self, of: STT, conn_options: APIConnectOptions, url: str, api_key: str | None, start: Start) -> None:
        super().__init__(stt=of, conn_options=conn_options)
        self._url = url
        self._api_key = api_key
        self._start = start
        self._shown: Segment | None = None
        self._ends_with_it = False
        self._unreported_s = 0.0
        self._languages: list[str] | None = None

    def update_options(self, *, language: str) -> None:
        """What is said from now on is marked with another language; the model hears all of its own at any time.

        Raises:
            ValueError: the server is known not to hear it; the stream goes on as it was.
        """
        if self._languages is not None and not hears(self._languages, language):
            raise ValueError(unheard_text(self._languages))
        self._start = msgspec.structs.replace(self._start, language=language)

    async def _run(self) -> None:
        """Until the input ends. Raises the framework's errors, some of which make it begin anew.

        A lost connection is the client's to mend, for as long as one attempt may take: it gives the next one the audio
        that it has kept.
        """
        self._close_all_but(None)
        self._ends_with_it = False
        try:
            async with Client(self._url, self._api_key, reconnect_s=self._conn_options.timeout) as client:
                sending, hearing = asyncio.create_task(self._send(client)), asyncio.create_task(self._hear(client))
                try:
                    await asyncio.wait((sending, hearing), return_when=asyncio.FIRST_COMPLETED)
                    if not sending.done() or sending.result():
                        await hearing
                finally:
                    sending.cancel()
                    hearing.cancel()
                    await asyncio.gather(sending, hearing, return_exceptions=True)
        except ConnectError as error:
            raise APIConnectionError(str(error)) from None

    async def _hear(self, client: Client) -> None:
        async for message in client:
            self._read(message)
            if isinstance(message, Stopped):
                return
        raise ConnectError("the server ended the session before its track was over")

    async def _send(self, client: Client) -> bool:
        """All that is pushed. Whether there was anything, whose last words are still to come."""
        started = False
        async for data in self._input_ch:
            if isinstance(data, rtc.AudioFrame):
                if not started:
                    await client.send(_at_rate_of(self._start, data))
                    started = True
                await client.send(Audio(_TRACK, bytes(data.data)))
                self._use(data.duration)
            elif started:
                await client.send(FlushRequest(_TRACK, "flush"))
        self._use(0.0, all_of_it=True)
        if started:
            await client.send(Stop(_TRACK))
        return started

    def _use(self, seconds: float, *, all_of_it: bool = False) -> None:
        self._unreported_s += seconds
        if self._unreported_s >= _USAGE_S or (all_of_it and self._unreported_s):
            usage = stt.RecognitionUsage(audio_duration=self._unreported_s)
            self._unreported_s = 0.0
            self._tell(stt.SpeechEventType.RECOGNITION_USAGE, recognition_usage=usage)

    def _read(self, message: ServerMessage) -> None:
        match message:
            case Ready(languages=languages):
                self._languages = languages
                if not hears(languages, self._start.language):
                    raise APIStatusError(unheard_text(languages), status_code=400, retryable=False)
            case SpeechNotice(speaking=True):
                self._end_of_speech()
                self._tell(stt.SpeechEventType.START_OF_SPEECH)
            case SpeechNotice(speaking=False):
                self._ends_with_it = True
                asyncio.get_running_loop().call_later(_NO_WORDS_S, self._end_of_speech)
                if self._shown is not None and self._shown.words:
                    self._transcribe(stt.SpeechEventType.PREFLIGHT_TRANSCRIPT, self._shown, self._shown.text)
            case Stopped():
                self._close_all_but(None)
                self._end_of_speech()
            case Segment(final=True):
                self._close_all_but(message.id)
                self._shown = None
                if message.words:
                    self._transcribe(stt.SpeechEventType.FINAL_TRANSCRIPT, message, message.text)
                self._end_of_speech()
            case Segment():
                self._close_all_but(message.id)
                self._shown = message
                text = f"{message.text} {message.tentative}".strip()
                self._transcribe(stt.SpeechEventType.INTERIM_TRANSCRIPT, message, text)
            case GapNotice(start=start, end=end, reason=reason):
                log.warning("not transcribed: %.1f s, %s", end - start, reason)
            case Error(code=code, message=text):
                raise APIStatusError(text, status_code=503 if code in _RETRYABLE else 400, retryable=code in _RETRYABLE)

    def _close_all_but(self, segment_id: str | None) -> None:
        """Another segment that is still open stays so: its server is gone, and the next goes on behind its words."""
        if self._shown is not None and self._shown.id != segment_id:
            if self._shown.words:
                self._transcribe(stt.SpeechEventType.FINAL_TRANSCRIPT, self._shown, self._shown.text)
            self._shown = None

    def _end_of_speech(self) -> None:
        """Speech has ended and its words are out."""
        if self._ends_with_it and not self._event_ch.closed:
            self._ends_with_it = False
            self._tell(stt.SpeechEventType.END_OF_SPEECH)

    def _transcribe(self, kind: stt.SpeechEventType, segment: Segment, text: str) -> None:
        data = stt.SpeechData(
            language=LanguageCode(self._start.language or ""),
            text=text,
            start_time=segment.start + self.start_time_offset,
            end_time=segment.end + self.start_time_offset,
            confidence=1.0,
            words=[self._timed(word) for word in segment.words] or None,
        )
        self._tell(kind, segment.id, [data])

    def _timed(self, word: CaptionWord) -> TimedString:
        return TimedString(
            word.text,
            start_time=word.start + self.start_time_offset,
            end_time=word.end + self.start_time_offset,
            start_time_offset=self.start_time_offset,
        )

    def _tell(
        self,
        kind: stt.SpeechEventType,
        request_id: str = "",
        alternatives: list[stt.SpeechData] | None = None,
        recognition_usage: stt.RecognitionUsage | None = None,
    ) -> None:
        self._event_ch.send_nowait(
            stt.SpeechEvent(kind, request_id, alternatives or [], recognition_usage=recognition_usage)
        )


def _at_rate_of(start: Start, frame: rtc.AudioFrame) -> Start:
    """The track at the rate and with the channels of its frames, which are not resampled here.

    Never as Opus: the framework's frames are PCM that LiveKit has decoded, and encoding them anew would cost words.
    """
    return msgspec.structs.replace(start, sample_rate=frame.sample_rate, channels=frame.num_channels)
