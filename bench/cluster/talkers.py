"""People who count aloud without end, each on a connection of its own, and what of it comes back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import cache
from itertools import islice

import numpy as np

from captions.cli.audio_file import blocks
from captions.cli.demo import clip
from captions.client import Client, ConnectError
from captions.doors.native.messages import GapNotice, Participant, Segment, Stopped
from captions.models.scripted import spoken_frame
from captions.types import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE

__all__ = ["Counted", "Talker"]

_WORDS = 50
"""As many as the scripted model knows; then they count from 0 again."""
_FRAMES_A_WORD = 3
_WORDS_A_PHRASE = 8
_PAUSE_FRAMES = 12
_VOICE_FROM_S = 1.3


@dataclass(slots=True)
class Counted:
    """What came of some talking: words said and heard, those lost and those that came twice, and gaps told."""

    said: int = 0
    heard: int = 0
    lost: int = 0
    twice: int = 0
    gap_s: float = 0.0

    def add(self, other: Counted) -> None:
        self.said += other.said
        self.heard += other.heard
        self.lost += other.lost
        self.twice += other.twice
        self.gap_s += other.gap_s


@dataclass
class Talker:
    """`run` until cancelled; `stop` ends the track and waits for its last words. `word_at`: when the newest came."""

    url: str
    name: str
    word_at: float = 0.0
    said: int = 0
    gap_s: float = 0.0
    segments: dict[str, tuple[str, ...]] = field(default_factory=dict)
    failed: str = ""
    _stopping: bool = False

    async def run(self) -> None:
        try:
            async with Client(self.url) as client:
                await client.start("counting", self.name, "pcm_f32le", SAMPLE_RATE, participant=Participant(self.name))
                reading = asyncio.create_task(self._read(client))
                await self._talk(client)
                await client.stop(self.name)
                async with asyncio.timeout(20.0):
                    await reading
        except (ConnectError, TimeoutError) as error:
            self.failed = str(error) or type(error).__name__

    def stop(self) -> None:
        """At the end of the phrase."""
        self._stopping = True

    def counted(self) -> Counted:
        """The words that came, against those that were said."""
        numbers = [int(word[1:]) for words in self.segments.values() for word in words]
        counted = Counted(said=self.said, heard=len(numbers), gap_s=self.gap_s)
        expected = 0
        for number in numbers:
            ahead = (number - expected) % _WORDS
            if ahead > _WORDS // 2:
                counted.twice += 1
            else:
                counted.lost += ahead
                expected += ahead + 1
        counted.lost += max(0, self.said - expected)
        return counted

    async def _talk(self, client: Client) -> None:
        loop = asyncio.get_running_loop()
        began_at, sent = loop.time(), 0
        while not self._stopping:
            for frame in _phrase(self.said):
                await asyncio.sleep(began_at + sent * FRAME_S - loop.time())
                await client.audio(self.name, frame)
                sent += 1
            self.said += _WORDS_A_PHRASE

    async def _read(self, client: Client) -> None:
        loop = asyncio.get_running_loop()
        async for message in client:
            match message:
                case Segment(id=name, words=words) if words:
                    self.segments[name] = tuple(word.text for word in words)
                    self.word_at = loop.time()
                case GapNotice(start=start, end=end):
                    self.gap_s += end - start
                case Stopped():
                    return


@cache
def _phrase_from(first: int) -> tuple[bytes, ...]:
    """Some words and a pause: real speech, turned up or down to what the scripted model takes for numbers."""
    whole = np.concatenate(list(islice(blocks(clip(), SAMPLE_RATE // 10, SAMPLE_RATE), 40)))
    begins = round(_VOICE_FROM_S * SAMPLE_RATE)
    voice = whole[begins : begins + _WORDS_A_PHRASE * _FRAMES_A_WORD * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    numbers = [(first + index // _FRAMES_A_WORD) % _WORDS for index in range(len(voice))]
    peaks = [float(np.abs(spoken_frame(number)).max()) for number in numbers]
    said = [frame / max(float(np.abs(frame).max()), 1e-3) * peak for frame, peak in zip(voice, peaks, strict=True)]
    said += [np.zeros(FRAME_SAMPLES, np.float32)] * _PAUSE_FRAMES
    return tuple(np.asarray(frame, "<f4").tobytes() for frame in said)


def _phrase(said: int) -> tuple[bytes, ...]:
    return _phrase_from(said % _WORDS)
