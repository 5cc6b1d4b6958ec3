"""One connection on Kyutai's protocol: a single track, private to its client unless it names a room."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from captions.doors.kyutai import messages as kyutai
from captions.doors.kyutai.markers import Markers
from captions.doors.names import error_text
from captions.doors.published_track import PublishedTrack
from captions.doors.service import Service, Write
from captions.engine.orders import HearingEvent, Taken
from captions.stream.captions import Participant
from captions.stream.codec import Codec
from captions.stream.ogg import OggError, OggReader
from captions.stream.opus import OpusDecoder, OpusError
from captions.stream.timeline import Packet
from captions.types import (
    FRAME_SAMPLES,
    SAMPLE_RATE,
    Flushed,
    ModelFailed,
    Pause,
    Pcm,
    Progress,
    TrackEvent,
    Word,
    WordEnd,
    seconds,
)
from captions.vad.gate import SpurtEnded, SpurtStarted

__all__ = ["KyutaiSession"]

_PAUSES_S = (0.5, 1.0, 2.0, 3.0)
_MARKER = "marker "
_AUDIO_STOPPED_S = 0.5
"""Without audio for so long, a client that waits for its marker sends no more; live audio comes every 20 to 80 ms."""


class KyutaiSession:
    """Pass every payload to `receive`, in order; `write` takes what goes back. `disconnected` ends it.

    Never refuses for lack of a lane and never drops audio: a client that sends faster than the model hears is not
    read from until it does. A `TrackSink` beside its track: the protocol tells single words and steps, not segments.
    """

    def __init__(self, service: Service, write: Write, participant: Participant, room: str | None = None) -> None:
        self._service = service
        self._write = write
        self._ogg = OggReader()
        self._opus: OpusDecoder | None = None
        self._connected = True
        self._steps = 0
        self._sent = 0
        self._taken = 0
        info = service.engine.info
        # A model without a delay reads whole utterances, so that steps say nothing of what has been transcribed.
        self._counts_steps = info.delay_frames > 0
        self._markers = Markers(info.delay_frames * FRAME_SAMPLES)
        self._watch: asyncio.TimerHandle | None = None
        self._owed_spurts = 0
        self._has_heads = info.pause_heads == len(_PAUSES_S)
        self._silent_from: int | None = 0
        self._track = PublishedTrack(
            service,
            room=room,
            name=participant.id,
            participant=participant,
            codec=Codec("pcm_f32le", SAMPLE_RATE),
            live=False,
            beside=self,
        )
        self._send(kyutai.Ready())

    async def receive(self, payload: bytes | str) -> int:
        """One frame of the client; waits while the track has its fill of audio. Returns what `Session` does."""
        if isinstance(payload, str):
            self._send(kyutai.Error("only binary MessagePack messages are understood"))
            return 1
        arrived_at = self._service.clock()
        try:
            match kyutai.decode(payload):
                case kyutai.Audio(pcm):
                    return await self._hear(pcm, arrived_at)
                case kyutai.OggOpus(data):
                    packets = self._ogg.feed(bytes(data))
                    for packet in packets:
                        await self._hear(self._decode(packet), arrived_at)
                    return not packets
                case kyutai.Marker(marker_id):
                    self._markers.ask(marker_id, self._sent)
                    self._sort_markers()
        except (kyutai.KyutaiProtocolError, OggError, OpusError, ValueError) as error:
            self._service.metrics.errors.labels(code="bad_message").inc()
            self._send(kyutai.Error(error_text(error)))
        return 1

    def finish(self) -> None:
        """The server is stopping: bring the last words out."""
        self._track.end()

    def disconnected(self) -> None:
        """The client is gone; its last words still reach its room."""
        self._connected = False
        self._track.end()

    def heard(self, event: HearingEvent) -> None:
        match event:
            case SpurtStarted():
                self._silent_from = None
                self._owed_spurts += 1
            case SpurtEnded(at):
                self._silent_from = at
            case Taken(samples=samples):
                self._taken += samples
                self._step_through_silence()
                self._sort_markers()

    def said(self, events: Sequence[TrackEvent]) -> None:
        stepped_to = 0
        for event in events:
            match event:
                case Word():
                    self._send(kyutai.Word(event.text, seconds(event.start)))
                    if not event.open:
                        self._send(kyutai.EndWord(seconds(event.end)))
                case WordEnd(end):
                    self._send(kyutai.EndWord(seconds(end)))
                case Pause(at, probabilities) if self._has_heads:
                    self._step_to(at, probabilities)
                case ModelFailed(message):
                    self._send(kyutai.Error(error_text(message)))
                case Progress(to):
                    stepped_to = to
                case Flushed(None):
                    self._owed_spurts -= 1
                    self._step_through_silence()
                case Flushed(str(flush_id)) if flush_id.startswith(_MARKER):
                    self._send(kyutai.Marker(int(flush_id.removeprefix(_MARKER))))
        # After the words that came with it.
        for marker_id in self._markers.stepped(stepped_to) if self._owed_spurts else self._markers.spurt_over():
            self._send(kyutai.Marker(marker_id))

    def _sort_markers(self) -> None:
        """Flush for those that nothing has to be waited for; while others wait, watch whether audio comes."""
        speaking = self._counts_steps and self._silent_from is None
        self._flush_for(self._markers.heard(self._taken, speaking))
        if self._markers and self._watch is None:
            self._watch_audio()

    def _watch_audio(self) -> None:
        self._watch = asyncio.get_running_loop().call_later(_AUDIO_STOPPED_S, self._look_at_audio, self._sent)

    def _look_at_audio(self, sent_before: int) -> None:
        self._watch = None
        if self._sent == sent_before:
            self._flush_for(self._markers.audio_stopped())
        if self._markers and self._connected:
            self._watch_audio()

    def _flush_for(self, markers: list[int]) -> None:
        for marker_id in markers:
            self._track.flush(f"{_MARKER}{marker_id}")

    async def _hear(self, pcm: Pcm, arrived_at: float) -> int:
        self._sent += len(pcm)
        in_order = self._track.hear(Packet(pcm.astype("<f4", copy=False).tobytes(), arrived_at))
        if self._track.is_full:
            await self._track.room()
        return not in_order

    def _decode(self, packet: bytes) -> Pcm:
        if self._opus is None:
            self._opus = OpusDecoder()
        return self._opus.decode(packet)

    def _step_through_silence(self) -> None:
        """Steps for audio that no model hears, or whose model has no pause heads, by what the speech gate knows."""
        if self._owed_spurts and self._has_heads:
            return
        while (self._steps + 1) * FRAME_SAMPLES <= self._taken:
            silent_s = (
                0.0 if self._silent_from is None else seconds((self._steps + 1) * FRAME_SAMPLES - self._silent_from)
            )
            self._step_to((self._steps + 1) * FRAME_SAMPLES, tuple(float(silent_s >= pause_s) for pause_s in _PAUSES_S))

    def _step_to(self, end: int, pauses: tuple[float, ...]) -> None:
        """A `Step` for every 80 ms up to media position `end`: clients count them as time, silence included."""
        while (self._steps + 1) * FRAME_SAMPLES <= end:
            self._steps += 1
            buffered = max(0, self._sent - self._steps * FRAME_SAMPLES)
            self._send(kyutai.Step(self._steps - 1, pauses, buffered))

    def _send(self, message: kyutai.ServerMessage) -> None:
        if self._connected:
            self._write(kyutai.encode(message))
