"""Where speech begins and ends: the detector's opinion of many tracks at once, and each track's gate."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

import numpy as np

from captions.engine.listened_track import ListenedTrack
from captions.engine.orders import EndSpeech, StartSpeech, Turn
from captions.stream.chunk_cutter import CHUNK_SPAN, Chunk
from captions.vad.gate import Gate, GatePolicy, SpurtEnded, SpurtStarted
from captions.vad.silero import SileroVad

__all__ = ["STALL_MARGIN_S", "Spurts"]

STALL_MARGIN_S = 0.2
"""How much longer than the gate's hangover nothing may come from a track in the middle of a spurt."""


class Spurts:
    """`open` a gate and a stream of the detector for each track, `detect` its chunks in order, `close` it.

    `end` a spurt where audio ends, `end_stalled` now and then. Orders and what doors are told go into a turn.
    """

    def __init__(self, vad: SileroVad, policy: GatePolicy) -> None:
        self._vad = vad
        self._policy = policy
        self._speaking: set[int] = set()
        self.stalled_after_s = policy.hangover_s + STALL_MARGIN_S

    @property
    def under_way(self) -> bool:
        """Somebody speaks."""
        return bool(self._speaking)

    @property
    def streams(self) -> int:
        """The detector's, that are open."""
        return self._vad.streams

    def open(self) -> tuple[Gate, int]:
        return Gate(self._policy), self._vad.open()

    def close(self, track: ListenedTrack) -> None:
        self._vad.close(track.stream)
        self._speaking.discard(track.id)

    def detect(self, heard: Sequence[tuple[ListenedTrack, tuple[Chunk, ...]]], turn: Turn) -> None:
        """The detector's opinion of the first chunk of every track, then of the second, and so on."""
        at = 0
        while ready := [(track, chunks[at]) for track, chunks in heard if at < len(chunks)]:
            for track, chunk in ready:
                if chunk.fresh:
                    self._vad.reset(track.stream)
            probabilities = self._vad.probabilities(
                [track.stream for track, _ in ready], np.stack([chunk.pcm for _, chunk in ready])
            )
            for (track, chunk), probability in zip(ready, probabilities.tolist(), strict=True):
                spurt = track.gate.push(probability, chunk.start, chunk.start + CHUNK_SPAN)
                if spurt is not None:
                    self._turn_gate(track, spurt, turn)
            at += 1

    def end(self, track: ListenedTrack, turn: Turn) -> None:
        """The track's audio ends here, or is silence from here on."""
        spurt = track.gate.close(track.ear.position)
        if spurt is not None:
            self._turn_gate(track, spurt, turn)
        else:
            self._vad.reset(track.stream)

    def end_stalled(
        self, now: float, tracks: Mapping[int, ListenedTrack], sounding: Container[int], turn: Turn
    ) -> None:
        """End the spurts of tracks that have stopped sending: muted without telling us, or cut off by the network."""
        for track_id in tuple(self._speaking):
            track = tracks[track_id]
            waits = track.held or track_id in sounding
            if not waits and now - track.ear.newest.arrived_at > self.stalled_after_s:
                self.end(track, turn)

    def _turn_gate(self, track: ListenedTrack, spurt: SpurtStarted | SpurtEnded, turn: Turn) -> None:
        """Tell of a spurt's start or end. Behind a spurt the detector is reset: it would take a breath for speech."""
        turn.heard.append((track.id, spurt))
        if isinstance(spurt, SpurtStarted):
            self._speaking.add(track.id)
            turn.orders.append(StartSpeech(track.id))
        else:
            self._speaking.discard(track.id)
            self._vad.reset(track.stream)
            turn.orders.append(EndSpeech(track.id, spurt.at))
