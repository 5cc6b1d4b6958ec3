"""What a checkpoint's config.json says: its files, its languages, and whether this version can run it. Pure Python.

moshi fills in what a config leaves out; the same defaults stand here, so that no backend but torch's needs moshi.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from captions.models.model import ModelError

__all__ = ["CONFIG_NAME", "MIMI", "check", "file_names", "languages_of"]

CONFIG_NAME = "config.json"

FILE_NAMES = {
    "moshi_name": "model.safetensors",
    "mimi_name": "tokenizer-e351c8d8-checkpoint125.safetensors",
    "tokenizer_name": "tokenizer_spm_32k_3.model",
    "mimi_config_name": None,
}
"""A checkpoint's files by role, where its config does not name them; without a config Mimi is Kyutai's own, `MIMI`."""

MIMI: dict[str, Any] = {
    "sample_rate": 24_000,
    "channels": 1,
    "frame_rate": 12.5,
    "seanet": {
        "channels": 1,
        "dimension": 512,
        "causal": True,
        "n_filters": 64,
        "n_residual_layers": 1,
        "activation": "ELU",
        "compress": 2,
        "dilation_base": 2,
        "disable_norm_outer_blocks": 0,
        "kernel_size": 7,
        "residual_kernel_size": 3,
        "last_kernel_size": 3,
        "norm": "none",
        "pad_mode": "constant",
        "ratios": [8, 6, 5, 4],
        "true_skip": True,
    },
    "quantizer": {"dimension": 256, "n_q": 32, "bins": 2048, "input_dimension": 512, "output_dimension": 512},
    "transformer": {
        "d_model": 512,
        "num_heads": 8,
        "num_layers": 8,
        "causal": True,
        "layer_scale": 0.01,
        "context": 250,
        "conv_layout": True,
        "max_period": 10_000,
        "gating": "none",
        "norm": "layer_norm",
        "positional_embedding": "rope",
        "dim_feedforward": 2048,
        "input_dimension": 512,
        "output_dimensions": [512],
    },
}
"""The configuration of Kyutai's own Mimi, as moshi has it."""

LANGUAGES = {"stt-1b-en_fr": ("en", "fr"), "stt-2.6b-en": ("en",), "digits": ("en",)}
TRANSFORMERS_TYPE = "kyutai_speech_to_text"
OWN_FORMAT = {"stt-1b-en_fr-trfs": "kyutai/stt-1b-en_fr-candle", "stt-2.6b-en-trfs": "kyutai/stt-2.6b-en"}
"""Kyutai's repositories in the format of Hugging Face transformers, and the same weights in Kyutai's own."""

UNKNOWN_LANGUAGE = ("und",)


def file_names(config: Mapping[str, Any]) -> dict[str, str]:
    """The checkpoint's files by role; `mimi_config_name` only if it has one."""
    names = {role: config.get(role, default) for role, default in FILE_NAMES.items()}
    return {role: file for role, file in names.items() if file is not None}


def languages_of(name: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The languages that the config states, or those of the Kyutai checkpoint whose name is part of `name`."""
    known = next((languages for part, languages in LANGUAGES.items() if part in name), UNKNOWN_LANGUAGE)
    return tuple(config.get("languages", known))


def check(name: str, config: Mapping[str, Any]) -> None:
    """Refuse what the step does not run: other tasks, and parts that no speech-to-text checkpoint has.

    Raises:
        ModelError: it names the settings that are not run.
    """
    if config.get("model_type") == TRANSFORMERS_TYPE:
        own = OWN_FORMAT.get(name.rstrip("/").rpartition("/")[2], "kyutai/stt-1b-en_fr-candle")
        raise ModelError(f"{name} is in the format of Hugging Face transformers: take {own} instead")
    if config.get("model_type", "stt") != "stt" or "audio_delay_seconds" not in config.get("stt_config", {}):
        raise ModelError(f"{name} is not a speech-to-text checkpoint: its {CONFIG_NAME} has no stt_config")
    wants = {
        "dep_q": config.get("dep_q", 0) == 0,
        "delays": not any(config.get("delays", ())),
        "conditioners": not config.get("conditioners"),
        "cross_attention": not config.get("cross_attention"),
        "kv_repeat": config.get("kv_repeat", 1) == 1,
        "positional_embedding": config.get("positional_embedding") in {"rope", "none"},
        "context": bool(config.get("context")),
        "norm_emb": not config.get("norm_emb"),
        "demux_second_text_stream": not config.get("demux_second_text_stream"),
        "demux_second_stream": not config.get("demux_second_stream"),
        "fuser": not config.get("fuser"),
        "quantize": not config.get("quantize"),
        "lora": not config.get("lora") and not config.get("lora_name"),
    }
    unknown = [setting for setting, runs in wants.items() if not runs]
    if unknown:
        raise ModelError(f"{name} needs what this version does not run: {', '.join(unknown)} in its {CONFIG_NAME}")
