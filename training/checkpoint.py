"""The checkpoint as files: the shapes of its two models, its tokenizer, and how they are written and read.

The keys are those of Kyutai's 1B `-candle` repository, so whatever loads that one loads this one.
"""

from __future__ import annotations

import io
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from moshi.models import LMModel, MimiModel, loaders
from safetensors.torch import save_file

from training.labels import END_OF_PADDING, PADDING, PAUSE_LENGTHS_S
from training.recordings import DIGITS, FRAMES_PER_SECOND, SAMPLE_RATE

__all__ = ["load_checkpoint", "new_lm", "new_mimi", "new_tokenizer", "save_checkpoint"]

CODEBOOKS = 8
CODES = 128
LATENT = 96
VOCABULARY = 54

SEANET = loaders._seanet_kwargs | {"dimension": LATENT, "n_filters": 8, "ratios": [4, 5, 6, 8]}

MIMI_CONFIG: dict[str, Any] = {
    "sample_rate": SAMPLE_RATE,
    "channels": 1,
    "frame_rate": FRAMES_PER_SECOND,
    "seanet": SEANET,
    "quantizer": {
        "dimension": 32,
        "n_q": CODEBOOKS,
        "bins": CODES,
        "input_dimension": LATENT,
        "output_dimension": LATENT,
    },
    "transformer": loaders._transformer_kwargs
    | {
        "d_model": LATENT,
        "num_heads": 4,
        "num_layers": 2,
        "layer_scale": 0.1,
        "context": 50,
        "dim_feedforward": 4 * LATENT,
        "input_dimension": LATENT,
        "output_dimensions": [LATENT],
    },
}

LM_CONFIG: dict[str, Any] = {
    "card": CODES,
    "n_q": CODEBOOKS,
    "dep_q": 0,
    "delays": [0] * (CODEBOOKS + 1),
    "dim": 128,
    "text_card": VOCABULARY,
    "existing_text_padding_id": PADDING,
    "existing_text_end_padding_id": END_OF_PADDING,
    "num_heads": 4,
    "num_layers": 4,
    "hidden_scale": 4.125,
    "causal": True,
    "layer_scale": None,
    "context": 50,
    "max_period": 10_000.0,
    "gating": "silu",
    "norm": "rms_norm_f32",
    "positional_embedding": "rope",
    "depformer_multi_linear": True,
    "depformer_pos_emb": "none",
    "depformer_weights_per_step": True,
    "extra_heads_num_heads": len(PAUSE_LENGTHS_S),
    "extra_heads_dim": 6,
    "fuser": None,
}

CONFIG_NAME = "config.json"
NAMES = {
    "moshi_name": "model.safetensors",
    "mimi_name": "mimi.safetensors",
    "mimi_config_name": "mimi.json",
    "tokenizer_name": "tokenizer.model",
}

CONFIG: dict[str, Any] = (
    LM_CONFIG
    | NAMES
    | {
        "model_type": "stt",
        "stt_config": {"audio_delay_seconds": 0.5, "audio_silence_prefix_seconds": 0.0},
        "lm_gen_config": {"temp": 0.0, "temp_text": 0.0, "top_k": 250, "top_k_text": 50},
    }
)


SPEECH_LEVEL = 0.05
"""Loudness of speech going in, around which the first convolution is set."""


def new_mimi() -> MimiModel:
    """An untrained Mimi of this checkpoint's shape.

    Its encoder has no normalisation, so the convolutions are initialised to keep speech at unit variance from layer
    to layer. With torch's default the signal would fade below the bend of the ELUs, and training barely start.
    """
    mimi = loaders.get_mimi(None, MIMI_CONFIG, num_codebooks=CODEBOOKS)
    convolutions = [module for module in mimi.encoder.modules() if isinstance(module, torch.nn.Conv1d)]
    for convolution in convolutions:
        torch.nn.init.normal_(convolution.weight, std=convolution.weight[0].numel() ** -0.5)
        torch.nn.init.zeros_(convolution.bias)
    convolutions[0].weight.data /= SPEECH_LEVEL
    return mimi


def new_lm() -> LMModel:
    """An untrained language model of this checkpoint's shape, in float32."""
    return loaders.get_moshi_lm(None, LM_CONFIG, dtype=torch.float32)


def new_tokenizer() -> bytes:
    """A sentencepiece model of the digits' names, of which one comes in two pieces.

    Ids 0 to 3 are control tokens as in Kyutai's tokenizers, so the two that the text stream needs are never text.
    """
    model = io.BytesIO()
    rare = {"zero", "seven"}
    corpus = [digit for digit in DIGITS for _ in range(2 if digit in rare else 9)]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus),
        model_writer=model,
        model_type="bpe",
        vocab_size=VOCABULARY,
        character_coverage=1.0,
        normalization_rule_name="identity",
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=PADDING,
        minloglevel=2,
    )
    return model.getvalue()


def save_checkpoint(folder: Path, mimi: MimiModel, lm: LMModel, tokenizer: bytes) -> None:
    """Writes the five files of a checkpoint, replacing each at once when all are written.

    The language model goes out in bfloat16 as Kyutai's does. Mimi's decoder half, which no recogniser runs but the
    loader asks for, is all zeros: it was never trained.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        written = Path(place)
        lm_state = {name: value.to(torch.bfloat16).contiguous() for name, value in lm.state_dict().items()}
        save_file(lm_state, written / NAMES["moshi_name"])
        mimi_state = {
            name: torch.zeros_like(value) if name.startswith(("decoder", "upsample")) else value.contiguous()
            for name, value in mimi.state_dict().items()
        }
        save_file(mimi_state, written / NAMES["mimi_name"])
        (written / NAMES["mimi_config_name"]).write_text(json.dumps(MIMI_CONFIG, indent=2) + "\n")
        (written / NAMES["tokenizer_name"]).write_bytes(tokenizer)
        (written / CONFIG_NAME).write_text(json.dumps(CONFIG, indent=2) + "\n")
        for file in written.iterdir():
            file.chmod(0o644)
            shutil.move(file, folder / file.name)


def load_checkpoint(folder: Path) -> loaders.CheckpointInfo:
    """The checkpoint in a local folder, as moshi describes one from the hub."""
    config = json.loads((folder / CONFIG_NAME).read_text())
    return loaders.CheckpointInfo.from_hf_repo(
        "",
        moshi_weights=folder / config["moshi_name"],
        mimi_weights=folder / config["mimi_name"],
        tokenizer=folder / config["tokenizer_name"],
        config_path=folder / CONFIG_NAME,
        mimi_config_path=folder / config["mimi_config_name"],
    )
