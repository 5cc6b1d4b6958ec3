"""Every figure of docs/benchmarks.md, from an event log and the truth. Pure: nothing here reads a clock or a socket.

`measure` turns one track's log into samples, `figures` turns the samples of any number of tracks into figures.
Definitions are in docs/benchmarks.md; a change here is a change there.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields

import jiwer

from bench.measure.events import Seen, SentAudio, SpeechTurn, TrackLog
from bench.measure.intervals import Figure, exact, mean_of, percentile_of, ratio_of
from bench.measure.normalise import normalise, spoken
from bench.measure.stability import Stability, stability
from bench.measure.transcript import FinalWord, History, replay
from bench.truth.words import Spurt, Truth
from captions.stream.figures import PARTS

__all__ = ["Samples", "figures", "measure", "pooled"]

"""What a server may say its word_latency is made of; they add up."""

BOUNDARY_PAUSE_S = 0.7
BOUNDARY_REACH_S = 0.5
_BLOCK_WORDS = 10


@dataclass(slots=True)
class Samples:
    """Raw samples, latencies and times in milliseconds; `_at` ones are (media position, sample) for plots.

    `server`: the server's own figures by name. `errors`: per block of ten gold words, (word errors, words).
    `onsets_missed`: per long pause, (1 if nobody reported the speech behind it, 1). `stability`: one a track.
    """

    word_latency: list[float] = field(default_factory=list)
    word_latency_at: list[tuple[float, float]] = field(default_factory=list)
    word_latency_reported: list[float] = field(default_factory=list)
    word_latency_server: list[float] = field(default_factory=list)
    transport: list[float] = field(default_factory=list)
    shown_latency: list[float] = field(default_factory=list)
    first_partial: list[float] = field(default_factory=list)
    ttfs: list[float] = field(default_factory=list)
    last_words: list[float] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    start_error: list[float] = field(default_factory=list)
    end_error: list[float] = field(default_factory=list)
    onset_error: list[float] = field(default_factory=list)
    offset_error: list[float] = field(default_factory=list)
    onsets_missed: list[tuple[float, float]] = field(default_factory=list)
    errors: list[tuple[float, float]] = field(default_factory=list)
    stability: list[Stability] = field(default_factory=list)
    server: dict[str, list[float]] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)


def pooled(parts: Iterable[Samples]) -> Samples:
    """The samples of several tracks as one."""
    whole = Samples()
    for part in parts:
        for name in (f.name for f in fields(Samples) if f.name != "server"):
            getattr(whole, name).extend(getattr(part, name))
        for name, values in part.server.items():
            whole.server.setdefault(name, []).extend(values)
    return whole


def measure(log: TrackLog, truth: Truth, warm_up_s: float = 0.0) -> Samples:
    """The samples of one track. Latencies of words that end before `warm_up_s` are left out; accuracy keeps all."""
    history = replay(log.seen)
    samples = Samples(troubles=[trouble.message for trouble in log.troubles])
    matches = _matches(truth, history.words)
    _word_latencies(samples, log, truth, history, matches, warm_up_s)
    _spurt_latencies(samples, log.sent, truth, history, matches, warm_up_s)
    _server_latencies(samples, log, warm_up_s)
    _boundaries(samples, log.turns, truth)
    samples.errors = _error_blocks(truth, history.words)
    samples.stability.append(stability(history))
    if history.words and truth.words:
        samples.last_words.append((history.words[-1].committed_at - log.sent.when(truth.words[-1].end)) * 1_000)
    if log.done_at is not None and log.finished_at is not None:
        samples.done.append((log.done_at - log.finished_at) * 1_000)
    return samples


def figures(samples: Samples) -> dict[str, Figure]:
    """Every figure there is data for, in the order of the report."""
    found: dict[str, Figure | None] = {}
    for name in (
        "word_latency",
        "word_latency_reported",
        "word_latency_server",
        "shown_latency",
        "first_partial",
        "ttfs",
    ):
        values = getattr(samples, name)
        found[f"{name}_p50"] = percentile_of(values, 50, "ms")
        found[f"{name}_p95"] = percentile_of(values, 95, "ms")
    found["last_words"] = percentile_of(samples.last_words, 50, "ms")
    found["done_after_end"] = percentile_of(samples.done, 50, "ms")
    found["transport_p50"] = percentile_of(samples.transport, 50, "ms")
    for part in PARTS:
        found[f"part_{part}"] = mean_of(samples.server.get(part, []), "ms")
    found["overhead_p50"] = percentile_of(samples.server.get("overhead", []), 50, "ms")
    found["overhead_p95"] = percentile_of(samples.server.get("overhead", []), 95, "ms")
    for name in ("first_partial", "ttfs", "capture_to_caption"):
        found[f"{name}_server_p50"] = percentile_of(samples.server.get(name, []), 50, "ms")
    found |= _stability_figures(samples.stability)
    found["wer"] = ratio_of(samples.errors, "")
    for name in ("start_error", "end_error", "onset_error", "offset_error"):
        values = getattr(samples, name)
        found[f"{name}_median"] = percentile_of(values, 50, "ms")
        found[f"{name}_abs_p50"] = percentile_of([abs(v) for v in values], 50, "ms")
        found[f"{name}_abs_p95"] = percentile_of([abs(v) for v in values], 95, "ms")
    found["onsets_missed"] = ratio_of(samples.onsets_missed, "")
    found["troubles"] = exact(len(samples.troubles), "")
    return {name: figure for name, figure in found.items() if figure is not None}


def _stability_figures(tracks: Sequence[Stability]) -> dict[str, Figure]:
    words = sum(track.words for track in tracks)
    partials = sum(track.partials for track in tracks)
    lost = sum(track.partials_lost for track in tracks)
    erased = {
        "erasure": sum(track.erased for track in tracks),
        "erasure_behind": sum(track.erased_behind for track in tracks),
        "erasure_committed": sum(track.erased_committed for track in tracks),
    }
    return {
        "words": exact(words, ""),
        **{name: exact(count / max(1, words), "", words) for name, count in erased.items()},
        "upwr": exact(lost / partials if partials else 0.0, "", partials),
    }


@dataclass(frozen=True, slots=True)
class _Match:
    """Gold word `gold` is word `said` of the transcript; `same` if it was heard right."""

    gold: int
    said: int
    same: bool


def _matches(truth: Truth, words: Sequence[FinalWord]) -> list[_Match]:
    """Which word of the transcript stands for which gold word, by the alignment with the fewest errors."""
    gold = [(place, spoken(word.text)) for place, word in enumerate(truth.words) if spoken(word.text)]
    if not gold or not words:
        return []
    output = jiwer.process_words(
        [" ".join(sound for _, sound in gold)], [" ".join(spoken(word.text) for word in words)]
    )
    return [
        _Match(gold[chunk.ref_start_idx + step][0], chunk.hyp_start_idx + step, chunk.type == "equal")
        for chunk in output.alignments[0]
        if chunk.type in ("equal", "substitute")
        for step in range(chunk.ref_end_idx - chunk.ref_start_idx)
    ]


def _word_latencies(
    samples: Samples, log: TrackLog, truth: Truth, history: History, matches: Sequence[_Match], warm_up_s: float
) -> None:
    """Of words heard right, against gold ends; and word-time errors, where the server gives times."""
    for match in matches:
        gold, said = truth.words[match.gold], history.words[match.said]
        if not match.same or gold.end < warm_up_s:
            continue
        arrived_at = log.sent.when(gold.end)
        latency = (said.committed_at - arrived_at) * 1_000
        samples.word_latency.append(latency)
        samples.word_latency_at.append((gold.end, latency))
        samples.shown_latency.append((said.shown_at - arrived_at) * 1_000)
        if said.start is not None:
            samples.start_error.append((said.start - gold.start) * 1_000)
        if said.end is not None:
            samples.end_error.append((said.end - gold.end) * 1_000)


def _spurt_latencies(
    samples: Samples, sent: SentAudio, truth: Truth, history: History, matches: Sequence[_Match], warm_up_s: float
) -> None:
    for spurt in truth.spurts():
        said = [match.said for match in matches if spurt.first <= match.gold <= spurt.last]
        if not said or truth.words[spurt.first].start < warm_up_s:
            continue
        began_at, ended_at = _sent_span(sent, truth, spurt)
        first_at = _first_longer(history.lengths, min(said), began_at)
        if first_at is not None:
            samples.first_partial.append((first_at - began_at) * 1_000)
        final_at = history.words[max(said)].final_at
        if final_at is not None:
            samples.ttfs.append((final_at - ended_at) * 1_000)


def _sent_span(sent: SentAudio, truth: Truth, spurt: Spurt) -> tuple[float, float]:
    return sent.when(truth.words[spurt.first].start), sent.when(truth.words[spurt.last].end)


def _first_longer(lengths: Sequence[tuple[float, int]], words: int, since: float) -> float | None:
    """When, from `since` on, more than `words` words first stood there."""
    place = bisect_left(lengths, since, key=lambda change: change[0])
    if place and lengths[place - 1][1] > words:
        return since
    return next((at for at, length in lengths[place:] if length > words), None)


def _server_latencies(samples: Samples, log: TrackLog, warm_up_s: float) -> None:
    """The server's own figures, and ours by the server's word ends, which differ by the way there and back alone.

    A server that gives one figure a message gives that of the newest word; older words of the same message left at the
    same moment, so theirs is longer by as much as their audio came earlier.
    """
    warm_at = log.sent.when(warm_up_s) if log.sent.ends else 0.0
    for seen in log.seen:
        if seen.at < warm_at:
            continue
        for name in (*PARTS, "first_partial", "ttfs", "capture_to_caption"):
            if name in seen.server_ms:
                samples.server.setdefault(name, []).append(seen.server_ms[name])
        if "word_latency" in seen.server_ms and "model_delay" in seen.server_ms:
            overhead = seen.server_ms["word_latency"] - seen.server_ms["model_delay"]
            samples.server.setdefault("overhead", []).append(overhead)
    for group, block in _committed_together(log.seen):
        newest_end = group[-1][1]
        for seen_at, end in group:
            if end < warm_up_s:
                continue
            reported = (seen_at - log.sent.when(end)) * 1_000
            samples.word_latency_reported.append(reported)
            if block is not None:
                server = block + (log.sent.when(newest_end) - log.sent.when(end)) * 1_000
                samples.word_latency_server.append(server)
                samples.transport.append(reported - server)


def _committed_together(seen: Sequence[Seen]) -> list[tuple[list[tuple[float, float]], float | None]]:
    """Per message that commits words with ends: their (moment, end), and the server's figure for the newest."""
    counts: dict[str, int] = {}
    groups = []
    for caption in seen:
        new = caption.committed[counts.get(caption.unit, 0) :]
        counts[caption.unit] = max(counts.get(caption.unit, 0), len(caption.committed))
        group = [(caption.at, word.end) for word in new if word.end is not None]
        if group:
            groups.append((group, caption.server_ms.get("word_latency")))
    return groups


def _boundaries(samples: Samples, turns: Sequence[SpeechTurn], truth: Truth) -> None:
    """Each reported boundary against the nearest gold word's; long pauses whose next onset nobody reported."""
    if not turns or not truth.words:
        return
    for turn in turns:
        gold = [word.start if turn.speaking else word.end for word in truth.words]
        error = min((turn.position - at for at in gold), key=abs)
        (samples.onset_error if turn.speaking else samples.offset_error).append(error * 1_000)
    onsets = [turn.position for turn in turns if turn.speaking]
    for spurt in truth.spurts(BOUNDARY_PAUSE_S):
        at = truth.words[spurt.first].start
        samples.onsets_missed.append((float(all(abs(at - onset) > BOUNDARY_REACH_S for onset in onsets)), 1.0))


def _error_blocks(truth: Truth, words: Sequence[FinalWord]) -> list[tuple[float, float]]:
    """Word errors by blocks of the normalised truth; an inserted word counts where it stands."""
    reference = normalise(truth.text, truth.language)
    hypothesis = normalise(" ".join(word.text for word in words), truth.language)
    if not reference:
        return [(float(len(hypothesis)), 0.0)] if hypothesis else []
    output = jiwer.process_words([" ".join(reference)], [" ".join(hypothesis)])
    blocks = [[0.0, 0.0] for _ in range(0, len(reference), _BLOCK_WORDS)]
    for place in range(len(reference)):
        blocks[place // _BLOCK_WORDS][1] += 1
    for chunk in output.alignments[0]:
        if chunk.type == "insert":
            place = min(chunk.ref_start_idx, len(reference) - 1)
            blocks[place // _BLOCK_WORDS][0] += chunk.hyp_end_idx - chunk.hyp_start_idx
        elif chunk.type != "equal":
            for place in range(chunk.ref_start_idx, chunk.ref_end_idx):
                blocks[place // _BLOCK_WORDS][0] += 1
    return [(errors, count) for errors, count in blocks]
