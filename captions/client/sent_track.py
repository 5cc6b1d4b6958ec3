"""One track as its sender has it: how much was sent, how much of it was surely heard, and the last seconds of it. Pure.

So that it can be begun again at another node: from behind the last word that came, if the seconds kept reach back so
far. Times are seconds on the track's media clock, which the client keeps running over all nodes.
"""

from __future__ import annotations

from collections import deque
from typing import TypeAlias

import msgspec

from captions.doors.native.messages import Audio, GapNotice, Segment, SpeechNotice, Start
from captions.stream.codec import AudioError, Codec

__all__ = ["KeptAudio", "SentTrack", "before", "moved"]

KeptAudio: TypeAlias = tuple[float, Audio]
"""Where it begins on the client's clock, and what was sent."""

_BEFORE_ONSET_S = 0.5
"""Speech begins so long before its notice says so at most, and a word's first sound must not be lost."""
_UNNOTICED_S = 2.0
"""Speech that began so recently may not have been told of yet."""
_WORD_REST_S = 0.16
"""The end of the newest word of an open segment may still be put right: what is left of the word is not sent again."""
_HANDOVER_S = 2.0
"""Speech that began so recently may not have been told of yet, so its audio goes along with a track that is moved."""
_AFTER_SPEECH_S = 0.1
"""So long after it fell speech has ended, and the next has not begun: a node waits for longer to say that it fell."""
_MOST_KEPT = 4_000
"""Ten seconds of the shortest packets that Opus has."""
_WRAP = 1 << 32


class SentTrack:
    """`keep` all audio in order, `learn` from what comes back; `rest_from` is where to begin again."""

    def __init__(self, start: Start, keep_s: float) -> None:
        self.start = start
        self.sent_to = 0.0
        self.speaking = False
        self._keep_s = keep_s
        self._kept: deque[KeptAudio] = deque()
        self._heard_to = 0.0
        self._onset = 0.0
        self._fell_at = 0.0
        self._settled = True
        self._first_timestamp: int | None = None
        self._lost_at: float | None = 0.0
        self._begun_again = True
        try:
            self._codec: Codec | None = Codec(start.codec, start.sample_rate, start.channels)
        except AudioError:
            self._codec = None

    def keep(self, audio: Audio) -> None:
        """The next audio that is sent."""
        if self._codec is None:
            return
        at = self.sent_to
        if audio.timestamp is not None:
            if self._first_timestamp is None:
                self._first_timestamp = audio.timestamp - round(at * self._codec.sample_rate)
            at = max(at, ((audio.timestamp - self._first_timestamp) % _WRAP) / self._codec.sample_rate)
        self._kept.append((at, audio))
        self.sent_to = at + self._codec.ticks_in(audio.data) / self._codec.sample_rate
        while self._kept[0][0] < self.sent_to - self._keep_s or len(self._kept) > _MOST_KEPT:
            self._kept.popleft()

    def learn(self, told: Segment | SpeechNotice | GapNotice) -> None:
        """What a node said of the track, on the client's clock."""
        if self._begun_again:
            self._lost_at = None
        match told:
            case SpeechNotice(speaking=True, at=at):
                self.speaking, self._settled, self._onset = True, False, at
            case SpeechNotice(at=at):
                self.speaking, self._fell_at = False, at
            case Segment(words=words, final=final):
                rest_s = 0.0 if final else _WORD_REST_S
                self._heard_to = max([self._heard_to, *(word.end + rest_s for word in words[-1:])])
                self._settled = final and not self.speaking
            case GapNotice(end=end):
                self._heard_to = max(self._heard_to, end)

    def lose(self, *, heard_since: bool) -> None:
        """Nobody hears the track any more; what is sent from now on is only kept.

        `heard_since`: its node had it for so long that its silence meant silence.
        """
        if self._lost_at is None or heard_since:
            self._lost_at = self.sent_to
        self._begun_again = False

    def end(self) -> None:
        """Its node has told all that it heard: what was heard behind the last word has no word in it."""
        if not self.speaking:
            self._heard_to = max(self._heard_to, self._fell_at)

    def rest_from(self, *, anew: bool = False) -> tuple[float, list[KeptAudio], float]:
        """Where to begin again after a node was lost, the audio from there on, and the seconds before it that are lost.

        Nothing is said twice: it begins behind the last word that came. `anew`: without any audio that was sent before.
        """
        self._begun_again = True
        if self._settled:
            lost_at = self.sent_to if self._lost_at is None else self._lost_at
            wanted = max(self._heard_to, lost_at - _UNNOTICED_S)
        else:
            wanted = max(self._heard_to, self._onset - _BEFORE_ONSET_S)
        kept = [] if anew else self._kept
        rest = [(at, audio) for at, audio in kept if at >= wanted]
        begins = rest[0][0] if rest else self.sent_to
        oldest = kept[0][0] if kept else self.sent_to
        return begins, rest, max(0.0, oldest - wanted)

    def last(self, length_s: float) -> tuple[float, list[KeptAudio]]:
        """The last audio of a pause, and where it begins."""
        rest = [(at, audio) for at, audio in self._kept if at >= self.sent_to - length_s]
        return (rest[0][0] if rest else self.sent_to), rest

    def handover(self) -> tuple[float, list[KeptAudio]]:
        """Where the next node takes over in a pause, and the audio from there on: words from there on are its own.

        That is behind the end of the last speech. In the audio since then speech may have begun of which no notice has
        come yet: both nodes hear it, and only the next one is believed.
        """
        return self.last(min(_HANDOVER_S, max(0.0, self.sent_to - self._fell_at - _AFTER_SPEECH_S)))


def before(message: Segment | SpeechNotice | GapNotice, at: float) -> Segment | SpeechNotice | GapNotice | None:
    """What a node said of the track as it was before a moment; None if it is of what came later alone."""
    match message:
        case Segment(words=words) if message.start < at:
            kept = [word for word in words if word.start < at]
            if len(kept) == len(words):
                return message
            text, end = " ".join(word.text for word in kept), kept[-1].end if kept else at
            return msgspec.structs.replace(message, end=end, text=text, words=kept, tentative="")
        case SpeechNotice(at=moment) if moment < at:
            return message
        case GapNotice(start=start) if start < at:
            return message
    return None


def moved(message: Segment | SpeechNotice | GapNotice, by_s: float) -> Segment | SpeechNotice | GapNotice:
    """What a node said by its own clock, on the client's."""

    def later(time_s: float) -> float:
        return round(time_s + by_s, 3)

    match message:
        case SpeechNotice():
            return msgspec.structs.replace(message, at=later(message.at))
        case GapNotice():
            return msgspec.structs.replace(message, start=later(message.start), end=later(message.end))
        case Segment():
            words = [
                msgspec.structs.replace(word, start=later(word.start), end=later(word.end)) for word in message.words
            ]
            return msgspec.structs.replace(message, start=later(message.start), end=later(message.end), words=words)
