r"""Trains the small checkpoint that hears spoken digits, and exports it in Kyutai's format.

    NO_TORCH_COMPILE=1 python -m training.digits --data fsdd-four-speakers.tar.gz --state digits.pt \
        --out captions/models/digits

Three stages. *hear*: encoder and language model end to end on continuous latents. *quantise*: the same through the
residual quantiser, whose gradients go straight through. *read*: Mimi is frozen and the language model learns from the
very codes it will be given, and from its own mistakes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import sentencepiece
import torch
from torch import Tensor
from torch.nn import functional

from training.acoustics import NoiseBank
from training.checkpoint import new_lm, new_mimi, new_tokenizer, save_checkpoint
from training.corpus import TRAINING_STYLE, Composer
from training.labels import pause_targets, phone_targets, text_targets
from training.listener import Listener
from training.recordings import DIGITS, FRAMES_PER_SECOND, read_recordings

SPEEDS = (0.9, 0.95, 1.0, 1.05, 1.1)
CLIP_S = 8.0
CLIPS = 12
STEPS = round(CLIP_S * FRAMES_PER_SECOND) + 1

PAUSE_WEIGHT = 0.25
PHONE_WEIGHT = 0.5
COMMITMENT_WEIGHT = 0.25

SPOILED = 0.1
"""Share of the tokens given back to the model that are random, so that it trusts its ears, not its memory."""

OWN_WORDS = 0.3
"""Share of the tokens given back in the last stage that are the model's own choice."""

REPORT_EVERY = 20
SAVE_EVERY = 50


@dataclass(frozen=True, slots=True)
class Lessons:
    """A batch: `pcm` [B, 1, samples]; the answers `text` [B, S], `pauses` [B, S, heads], `phones` [B, S - 1]."""

    pcm: Tensor
    text: Tensor
    pauses: Tensor
    phones: Tensor


def lessons(composer: Composer, pieces: list[list[int]], seed: int) -> Iterator[Lessons]:
    """Endless batches, the same for the same seed."""
    random = np.random.default_rng(seed)
    while True:
        clips = [composer.compose(random, CLIP_S) for _ in range(CLIPS)]
        yield Lessons(
            torch.from_numpy(np.stack([clip.pcm for clip in clips])[:, None]),
            torch.from_numpy(np.stack([text_targets(clip.words, pieces, STEPS) for clip in clips])),
            torch.from_numpy(np.stack([pause_targets(clip.words, STEPS) for clip in clips])),
            torch.from_numpy(np.stack([phone_targets(clip.words, STEPS - 1) for clip in clips])),
        )


def before(text: Tensor, start: int, choices: Tensor) -> Tensor:
    """The token before each step, [B, S]: `start`, then the right one or, now and then, any of `choices`."""
    spoiled = torch.rand(text.shape) < SPOILED
    text = torch.where(spoiled, choices[torch.randint(len(choices), text.shape)], text)
    return functional.pad(text[:, :-1], (1, 0), value=start)


def entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy over any leading shape."""
    return functional.cross_entropy(logits.float().flatten(0, -2), targets.flatten())


def hearing_loss(listener: Listener, choices: Tensor, quantise: bool, lesson: Lessons) -> tuple[Tensor, Tensor]:
    """Loss of one batch end to end, and the text logits [B, S, text_card]."""
    tokens = before(lesson.text, listener.lm.text_initial_token_id, choices)
    with torch.autocast("cpu", torch.bfloat16):
        heard = listener.hear(lesson.pcm, tokens, quantise=quantise)
    loss = entropy(heard.text, lesson.text) + PAUSE_WEIGHT * entropy(heard.pauses, lesson.pauses)
    loss = loss + PHONE_WEIGHT * entropy(heard.phones, lesson.phones) + COMMITMENT_WEIGHT * heard.commitment
    return loss, heard.text


def reading_loss(listener: Listener, choices: Tensor, lesson: Lessons) -> tuple[Tensor, Tensor]:
    """Loss of one batch from frozen codes, and the text logits [B, S, text_card]."""
    with torch.no_grad():
        codes = listener.mimi.encode(lesson.pcm)
        tokens = before(lesson.text, listener.lm.text_initial_token_id, choices)
        own = listener.read(codes, tokens)[0].argmax(-1)
        own = functional.pad(own[:, :-1], (1, 0), value=listener.lm.text_initial_token_id)
        tokens = torch.where(torch.rand(tokens.shape) < OWN_WORDS, own, tokens)
    text, pauses = listener.read(codes, tokens)
    return entropy(text, lesson.text) + PAUSE_WEIGHT * entropy(pauses, lesson.pauses), text


def train(
    name: str,
    listener: Listener,
    batches: Iterator[Lessons],
    loss_of: Callable[[Lessons], tuple[Tensor, Tensor]],
    steps: int,
    rate: float,
    save: Callable[[], None],
) -> None:
    """One stage: AdamW, its rate warmed up and then let down along a cosine to a twentieth."""
    parameters = [parameter for parameter in listener.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
    warm = min(100, steps // 10 + 1)

    def factor(step: int) -> float:
        progress = max(0.0, (step - warm) / max(1, steps - warm))
        return min((step + 1) / warm, 0.05 + 0.95 * 0.5 * float(1 + np.cos(np.pi * progress)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    began_at = time.monotonic()
    losses: list[float] = []
    right: list[float] = []
    for step in range(1, steps + 1):
        lesson = next(batches)
        loss, text = loss_of(lesson)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        spoken = lesson.text > 3
        losses.append(loss.item())
        right.append((text.argmax(-1) == lesson.text)[spoken].float().mean().item())
        if step % REPORT_EVERY == 0 or step == steps:
            print(
                f"{name} {step}/{steps}  loss {np.mean(losses):.4f}  pieces right {np.mean(right):.3f}"
                f"  {time.monotonic() - began_at:.0f} s",
                flush=True,
            )
            losses.clear()
            right.clear()
        if step % SAVE_EVERY == 0 or step == steps:
            save()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="tar.gz of the Free Spoken Digit Dataset's WAV files")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--state", type=Path, required=True, help="file that keeps the weights while training")
    parser.add_argument("--resume", action="store_true", help="begin with the weights in --state")
    parser.add_argument("--hear", type=int, default=800, help="steps of the first stage")
    parser.add_argument("--quantise", type=int, default=1000, help="steps of the second stage")
    parser.add_argument("--read", type=int, default=300, help="steps of the third stage")
    parser.add_argument(
        "--rate", type=float, default=2e-3, help="top learning rate of the first stage; later ones take half"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(options.seed)
    tokenizer = new_tokenizer()
    spell = sentencepiece.SentencePieceProcessor(model_proto=tokenizer)
    pieces: list[list[int]] = [spell.encode(digit) for digit in DIGITS]
    choices = torch.tensor(sorted({0, 3, *(piece for word in pieces for piece in word)}))

    recordings = list(read_recordings(options.data, held_back=False, speeds=SPEEDS))
    composer = Composer(recordings, TRAINING_STYLE, NoiseBank(np.random.default_rng(options.seed)))
    batches = lessons(composer, pieces, options.seed)

    listener = Listener(new_mimi(), new_lm())
    if options.resume:
        listener.load_state_dict(torch.load(options.state))
    for unused in (listener.mimi.decoder, listener.mimi.decoder_transformer, listener.mimi.upsample):
        unused.requires_grad_(False)

    def save() -> None:
        torch.save(listener.state_dict(), options.state)

    listener.train()
    train("hear", listener, batches, partial(hearing_loss, listener, choices, False), options.hear, options.rate, save)
    train(
        "quantise",
        listener,
        batches,
        partial(hearing_loss, listener, choices, True),
        options.quantise,
        options.rate / 2,
        save,
    )
    listener.mimi.eval().requires_grad_(False)
    listener.embed_codes()
    train("read", listener, batches, partial(reading_loss, listener, choices), options.read, options.rate / 2, save)
    listener.eval()
    save_checkpoint(options.out, listener.mimi, listener.lm, tokenizer)
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
