"""Checkpoints of random weights in Kyutai's format: the 1B's shape for cost, and a small one. They recognise nothing.

Shapes: the 1B's as in Kyutai's published server configuration (`config-stt-en_fr-hf.toml`) and model card.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from moshi.models import loaders
from safetensors.torch import save_file
from torch import Tensor

__all__ = ["LM_1B", "LM_SMALL", "MIMI_1B", "MIMI_SMALL", "write_random_checkpoint"]

MIMI_1B: dict[str, Any] = loaders._mimi_config

LM_1B: dict[str, Any] = {
    "card": 2048,
    "n_q": 32,
    "dep_q": 0,
    "delays": [0] * 33,
    "dim": 2048,
    "text_card": 8000,
    "existing_text_padding_id": 3,
    "num_heads": 16,
    "num_layers": 16,
    "hidden_scale": 4.125,
    "causal": True,
    "layer_scale": None,
    "context": 750,
    "max_period": 100_000.0,
    "gating": "silu",
    "norm": "rms_norm_f32",
    "positional_embedding": "rope",
    "depformer_multi_linear": True,
    "depformer_pos_emb": "none",
    "depformer_weights_per_step": True,
    "extra_heads_num_heads": 4,
    "extra_heads_dim": 6,
}

LM_SMALL: dict[str, Any] = LM_1B | {
    "card": 2,
    "n_q": 6,
    "delays": [0] * 7,
    "dim": 64,
    "text_card": 48,
    "num_heads": 4,
    "num_layers": 3,
    "context": 24,
}
"""So small that a test can afford it, and with contexts so short that rings wrap within one.

Few codes a codebook, because a code is the nearest of random points: among 32, two are within float32 rounding of each
other in one choice of some 50,000, and then a batch and a single stream may rightly choose differently.
"""

MIMI_SMALL: dict[str, Any] = MIMI_1B | {
    "seanet": MIMI_1B["seanet"] | {"dimension": 32, "n_filters": 2},
    "quantizer": {"dimension": 8, "n_q": 6, "bins": 2, "input_dimension": 32, "output_dimension": 32},
    "transformer": MIMI_1B["transformer"]
    | {
        "d_model": 32,
        "num_heads": 2,
        "num_layers": 2,
        "context": 20,
        "dim_feedforward": 64,
        "input_dimension": 32,
        "output_dimensions": [32],
    },
}

FILES: dict[str, Any] = {
    "model_type": "stt",
    "moshi_name": "model.safetensors",
    "mimi_name": "mimi.safetensors",
    "mimi_config_name": "mimi.json",
    "tokenizer_name": "tokenizer.model",
    "stt_config": {"audio_delay_seconds": 0.5, "audio_silence_prefix_seconds": 0.0},
}

SPEECH_LEVEL = 0.05
FIRST_CONVOLUTION = "encoder.model.0.conv.conv.weight"
"""Loudness of speech going in, and the weights that bring it to unit variance."""

BLOCK = (1 << 20) + 7
"""Random values drawn. A weight repeats them, which costs the same and takes far less to make; no row is repeated."""


def write_random_checkpoint(folder: Path, lm: dict[str, Any], mimi: dict[str, Any], seed: int = 1) -> Path:
    """Write a checkpoint of these shapes into `folder`, if it is not there yet, and return the folder."""
    if (folder / "config.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    random = torch.Generator().manual_seed(seed)
    lm_state = loaders.LMModel(**lm, device="meta", dtype=torch.bfloat16).state_dict()
    save_file(_filled(lm_state, random, torch.bfloat16), folder / FILES["moshi_name"])
    mimi_state = loaders.get_mimi(None, mimi, num_codebooks=lm["n_q"]).state_dict()
    save_file(_filled(mimi_state, random, torch.float32), folder / FILES["mimi_name"])
    (folder / FILES["mimi_config_name"]).write_text(json.dumps(mimi))
    (folder / FILES["tokenizer_name"]).write_bytes(_tokenizer(lm["text_card"]))
    (folder / "config.json").write_text(json.dumps(lm | FILES))
    return folder


def _filled(state: dict[str, Tensor], random: torch.Generator, dtype: torch.dtype) -> dict[str, Tensor]:
    return {name: _fill(name, like, random, dtype) for name, like in state.items()}


def _fill(name: str, like: Tensor, random: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Unit variance from layer to layer; norms and scales 1, biases 0."""
    if name.endswith(("alpha", "scale", "cluster_usage", "_initialized")) or "norm" in name:
        return torch.full(like.shape, 0.0 if name.endswith("bias") else 1.0, dtype=dtype)
    if name.endswith("bias"):
        return torch.zeros(like.shape, dtype=dtype)
    fan_in = like[0].numel() if like.dim() > 1 and "emb" not in name else 1
    scale = (SPEECH_LEVEL if name == FIRST_CONVOLUTION else 1.0) * fan_in**0.5
    values = (torch.randn(min(like.numel(), BLOCK), generator=random) / scale).to(dtype)
    return values.repeat(-(-like.numel() // BLOCK))[: like.numel()].view(like.shape)


def _tokenizer(pieces: int) -> bytes:
    """Sentencepiece with the special ids of Kyutai's (0 unknown, 3 padding) and made-up words, `pieces` in all."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(f"w{number}" for number in range(pieces)),
        model_writer=model,
        model_type="word",
        vocab_size=pieces,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=3,
        minloglevel=2,
    )
    return model.getvalue()
