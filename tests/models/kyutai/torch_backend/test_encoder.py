"""Our encoder gives moshi's codes of real speech, by a trained Mimi whose codebooks have many points."""

from __future__ import annotations

import numpy as np
import torch
from moshi.utils.compile import no_compile

from bench.kyutai.oracle import sound
from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.kyutai.torch_backend.encoder import Encoder
from captions.models.kyutai.torch_backend.loading import load_encoder, load_mimi
from captions.models.load import DIGITS

LANES = 3
FRAMES = 30
CPU = torch.device("cpu")


def test_codes_of_real_speech_are_moshis() -> None:
    checkpoint = Checkpoint.find(str(DIGITS))
    ours, moshis = Encoder(load_encoder(checkpoint, CPU), LANES), load_mimi(checkpoint, CPU)
    speech = torch.from_numpy(np.stack([sound(number, FRAMES) for number in range(LANES)], axis=1))[:, :, None]
    with torch.inference_mode(), no_compile(), moshis.streaming(LANES):
        equal = [bool((ours.encode(pcm) == moshis.encode(pcm)[:, :, 0]).all()) for pcm in speech]
    assert equal == [True] * FRAMES
    kinds = len(ours.encode(speech[0]).unique())
    assert kinds > 5, "speech is not one code"
