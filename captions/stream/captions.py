"""What people are shown of a track: captions, what was not captioned, and notices of speech and of gaps.

Rooms, transcripts and doors pass these on as they are; doors/native sends them as its messages, which is why each has a
`type`. Times are seconds on the track's media clock, which starts at 0 with its first audio.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

__all__ = [
    "Caption",
    "CaptionWord",
    "GapNotice",
    "Id",
    "Label",
    "Latency",
    "Missed",
    "Participant",
    "Segment",
    "SpeechNotice",
    "Uncaptioned",
]

Id: TypeAlias = Annotated[str, Meta(max_length=128, pattern=r"^[^\x00-\x1f\x7f]+\Z")]
Label: TypeAlias = Annotated[str, Meta(max_length=256, pattern=r"^[^\x00-\x1f\x7f]*\Z")]


class Participant(Struct, frozen=True, omit_defaults=True):
    id: Id
    name: Label = ""


class CaptionWord(Struct, frozen=True):
    """Seconds on the track's media clock, which starts at 0 with its first audio."""

    text: str
    start: float
    end: float


class Latency(Struct, frozen=True, omit_defaults=True):
    """Milliseconds. The six parts are those of the newest committed word and add up to its `word_latency`.

    `first_partial` is given on the first revision of a spurt's first segment, `ttfs` on the final segment of a spurt,
    `capture_to_caption` where the client says when it captured.
    """

    word_latency: float | None = None
    buffer: float | None = None
    model_delay: float | None = None
    lane_wait: float | None = None
    queue: float | None = None
    compute: float | None = None
    send: float | None = None
    first_partial: float | None = None
    ttfs: float | None = None
    capture_to_caption: float | None = None


class Segment(Struct, frozen=True, tag_field="type", tag="segment", omit_defaults=True):
    """A caption. `words` only ever grow from revision to revision; `tentative` may change until `final`.

    `said_at`: when its `start` was said, in seconds since 1970 by the server's clock; 0 if it is not known. `position`:
    how far a watcher has come in its room with this; only watchers are told. `interrupted`: its node was lost, and
    another has closed it as it stood; should the node come back, its own last revision may still follow.
    """

    room: str
    track: str
    participant: Participant
    id: str
    revision: int
    final: bool
    start: float
    end: float
    text: str
    words: list[CaptionWord]
    latency: Latency
    tentative: str = ""
    said_at: float = 0.0
    position: str = ""
    interrupted: bool = False


class Uncaptioned(Struct, frozen=True, tag_field="type", tag="uncaptioned", omit_defaults=True):
    """What readers are shown where captions are missing. Told again under its `id` as it grows; the last one counts.

    `said_at`: when its `start` was, in seconds since 1970 by the server's clock. `position`: see `Segment`.
    """

    room: str
    track: str
    participant: Participant
    id: str
    start: float
    end: float
    reason: str
    said_at: float = 0.0
    position: str = ""


Caption: TypeAlias = Segment | Uncaptioned
"""What a room's readers are shown. Of several with one `id` the last one counts."""


class SpeechNotice(Struct, frozen=True, tag_field="type", tag="speech", omit_defaults=True):
    """Speech began or ended on a track, at `at`."""

    track: str
    speaking: bool
    at: float


class GapNotice(Struct, frozen=True, tag_field="type", tag="gap", omit_defaults=True):
    """Audio that was not transcribed, in seconds of the track's media clock."""

    track: str
    start: float
    end: float
    reason: str


class Missed(Struct, frozen=True, tag_field="type", tag="missed", omit_defaults=True):
    """Some of what was said in a room since its watcher was last there is kept no longer."""
