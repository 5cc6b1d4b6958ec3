"""Measures a checkpoint with moshi's own streaming loop on digit strings of held-back recordings.

    NO_TORCH_COMPILE=1 python -m training.evaluate --data fsdd-four-speakers.tar.gz --model captions/models/digits

A string is 3 to 10 digits by one speaker after a second or more of silence. *clean*: the recordings as they are with
digital silence between. *noisy*: under noise 15 to 30 dB below, in rooms, with the splices of a lane that was frozen.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from moshi.models import LMGen
from numpy.random import Generator
from numpy.typing import NDArray

from training.acoustics import NoiseBank
from training.checkpoint import load_checkpoint
from training.corpus import Clip, Composer, SpokenDigit, Style
from training.labels import END_OF_PADDING, PADDING, PAUSE_LENGTHS_S, pause_targets, step_time_s
from training.recordings import DIGITS, FRAMES_PER_SECOND, read_recordings

__all__ = ["Figures", "HeardWord", "measure", "read_words", "stream"]

CLIP_S = 24.0
SHORTEST, LONGEST = 3, 10
FRAME_SAMPLES = 1920

_PLAIN = Style(
    gaps=((0.6, 0.05, 0.5), (0.3, 0.5, 1.2), (0.1, 1.2, 3.0)),
    lead_s=(1.0, 1.5),
    noiseless=1.0,
    splice=0.0,
    coloured=0.0,
    babble=0.0,
    change_speaker=0.0,
)
STYLES = {
    "clean": _PLAIN,
    "noisy": Style(gaps=_PLAIN.gaps, lead_s=_PLAIN.lead_s, snr_db=(15.0, 30.0), noiseless=0.0, splice=0.1),
}

EARLY_S, LATE_S = 0.16, 0.24
"""How far outside a true pause a head may be high and still mean that pause."""


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word as the model gave it, in seconds of its lane; `end_s` is None if it never ended."""

    text: str
    start_s: float
    end_s: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one condition. Rates are shares of 1, errors are absolute seconds."""

    strings: int
    words: int
    wer: float
    substitutions: int
    insertions: int
    deletions: int
    start_error_median_s: float
    start_error_p90_s: float
    start_bias_s: float
    end_error_median_s: float
    pause_f1: float
    pause_precision: float
    pause_recall: float
    pause_frames_f1: tuple[float, ...]


def stream(folder: Path, pcm: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Runs audio [B, frames * 1920] through moshi frame by frame: tokens [B, S], pause chances [B, S, heads].

    S is frames + 1: the first frame is stepped twice, as `moshi.run_inference` does, because the first step primes.
    """
    checkpoint = load_checkpoint(folder)
    mimi = checkpoint.get_mimi()
    lm_gen = LMGen(checkpoint.get_moshi(dtype=torch.float32), use_sampling=False, temp_text=0.0)
    tokens, chances = [], []
    with torch.no_grad(), mimi.streaming(len(pcm)), lm_gen.streaming(len(pcm)):
        for index, frame in enumerate(torch.from_numpy(pcm)[:, None].split(FRAME_SAMPLES, dim=2)):
            codes = mimi.encode(frame)
            for _ in range(2 if index == 0 else 1):
                text, heads = lm_gen.step_with_extra_heads(codes)
                tokens.append(text[:, 0, 0])
                chances.append(torch.stack([head[:, 0, 0] for head in heads], dim=1))
    return torch.stack(tokens, dim=1).numpy(), torch.stack(chances, dim=1).numpy()


def read_words(tokens: Sequence[int], decode: Callable[[list[int]], str]) -> list[HeardWord]:
    """Words from a lane's tokens, the priming step's included, as Kyutai's server reads them."""
    words: list[HeardWord] = []
    ids: list[int] = []
    start_s = 0.0
    for step, token in enumerate(tokens):
        if token not in (END_OF_PADDING, PADDING):
            ids.append(token)
            continue
        if ids:
            words.append(HeardWord(decode(ids), start_s, None))
            ids = []
        if token == END_OF_PADDING:
            if words and words[-1].end_s is None:
                words[-1] = HeardWord(words[-1].text, words[-1].start_s, step_time_s(step))
            start_s = step_time_s(step)
    return words


def measure(clips: Sequence[Clip], heard: Sequence[Sequence[HeardWord]], chances: NDArray[np.float32]) -> Figures:
    """The figures of clips, the words heard in each, and the pause chances [B, S, heads]."""
    edits = np.zeros(3, int)
    starts = [np.nan]
    ends = [np.nan]
    for clip, words in zip(clips, heard, strict=True):
        pairs = _align([DIGITS[word.digit] for word in clip.words], [word.text for word in words])
        for true, found in pairs:
            if true is None or found is None:
                edits[1 if true is None else 2] += 1
            elif DIGITS[clip.words[true].digit] != words[found].text:
                edits[0] += 1
            else:
                starts.append(words[found].start_s - clip.words[true].start_s)
                end_s = words[found].end_s
                if end_s is not None:
                    ends.append(end_s - clip.words[true].end_s)
    count = sum(len(clip.words) for clip in clips)
    hits = np.array([_pause_hits(clip.words, chance[:, 0] > 0.5) for clip, chance in zip(clips, chances, strict=True)])
    found, pauses, right, runs = hits.sum(axis=0)
    return Figures(
        strings=len(clips),
        words=count,
        wer=round(float(edits.sum()) / count, 4),
        substitutions=int(edits[0]),
        insertions=int(edits[1]),
        deletions=int(edits[2]),
        start_error_median_s=round(float(np.nanmedian(np.abs(starts))), 3),
        start_error_p90_s=round(float(np.nanpercentile(np.abs(starts), 90)), 3),
        start_bias_s=round(float(np.nanmean(starts)), 3),
        end_error_median_s=round(float(np.nanmedian(np.abs(ends))), 3),
        pause_f1=round(2 * found * right / (found * runs + right * pauses), 4),
        pause_precision=round(right / runs, 4),
        pause_recall=round(found / pauses, 4),
        pause_frames_f1=tuple(_frames_f1(clips, chances, head) for head in range(len(PAUSE_LENGTHS_S))),
    )


def _align(true: Sequence[str], found: Sequence[str]) -> list[tuple[int | None, int | None]]:
    """Pairs of positions of a shortest edit path; None stands for an insertion or a deletion."""
    cost = np.zeros((len(true) + 1, len(found) + 1), int)
    cost[:, 0] = np.arange(len(true) + 1)
    cost[0] = np.arange(len(found) + 1)
    for i, word in enumerate(true, 1):
        for j, other in enumerate(found, 1):
            cost[i, j] = min(cost[i - 1, j - 1] + (word != other), cost[i - 1, j] + 1, cost[i, j - 1] + 1)
    pairs: list[tuple[int | None, int | None]] = []
    i, j = len(true), len(found)
    while i or j:
        if i and j and cost[i, j] == cost[i - 1, j - 1] + (true[i - 1] != found[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif i and cost[i, j] == cost[i - 1, j] + 1:
            i -= 1
            pairs.append((i, None))
        else:
            j -= 1
            pairs.append((None, j))
    return pairs[::-1]


def _pause_hits(words: Sequence[SpokenDigit], high: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Pauses of 0.5 s and more that were found, such pauses, runs of a high head that mean one, such runs.

    Only what comes after the first word counts.
    """
    steps = len(high)
    starts = [word.end_s for word in words]
    ends = [word.start_s for word in words[1:]] + [steps / FRAMES_PER_SECOND]
    pauses = [(start, end) for start, end in zip(starts, ends, strict=True) if end - start >= PAUSE_LENGTHS_S[0]]
    first = int(np.ceil(words[0].end_s * FRAMES_PER_SECOND))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], high[first:], [False]]).astype(int)))
    runs = [tuple((edge + first) / FRAMES_PER_SECOND) for edge in edges.reshape(-1, 2) - (0, 1)]

    def means(run: tuple[float, float], pause: tuple[float, float]) -> bool:
        return run[1] >= pause[0] + PAUSE_LENGTHS_S[0] - EARLY_S and run[0] <= pause[1] + LATE_S

    found = sum(any(means(run, pause) for run in runs) for pause in pauses)
    right = sum(any(means(run, pause) for pause in pauses) for run in runs)
    return found, len(pauses), right, len(runs)


def _frames_f1(clips: Sequence[Clip], chances: NDArray[np.float32], head: int) -> float:
    """F1 of one head step by step against its training target."""
    steps = chances.shape[1]
    true = np.stack([pause_targets(clip.words, steps)[:, head] == 0 for clip in clips])
    high = chances[:, :, head] > 0.5
    after = np.stack([np.arange(steps) / FRAMES_PER_SECOND > clip.words[0].end_s for clip in clips])
    both = float((true & high & after).sum())
    return round(2 * both / float((true & after).sum() + (high & after).sum()), 4)


def _strings(composer: Composer, random: Generator, count: int) -> list[Clip]:
    """Clips that end in a second of digital silence, which brings out the last word."""
    clips = [composer.compose(random, CLIP_S, int(random.integers(SHORTEST, LONGEST + 1))) for _ in range(count)]
    return [Clip(np.pad(clip.pcm, (0, 13 * FRAME_SAMPLES)), clip.words) for clip in clips]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="tar.gz of the Free Spoken Digit Dataset's WAV files")
    parser.add_argument("--model", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--strings", type=int, default=100, help="digit strings of each condition")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    recordings = list(read_recordings(options.data, held_back=True))
    tokenizer = load_checkpoint(options.model).get_text_tokenizer()
    report = {}
    for name, style in STYLES.items():
        random = np.random.default_rng(options.seed)
        clips = _strings(Composer(recordings, style, NoiseBank(random)), random, options.strings)
        tokens, chances = stream(options.model, np.stack([clip.pcm for clip in clips]))
        heard = [read_words(lane, tokenizer.decode) for lane in tokens.tolist()]
        report[name] = asdict(measure(clips, heard, chances))
        print(name, json.dumps(report[name]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
