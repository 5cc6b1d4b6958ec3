from __future__ import annotations

from typing import Any

import pytest
from moshi.models import loaders

from captions.models.kyutai.config import MIMI, check, file_names, languages_of
from captions.models.model import ModelError

STT: dict[str, Any] = {
    "model_type": "stt",
    "stt_config": {"audio_delay_seconds": 0.5},
    "positional_embedding": "rope",
    "context": 750,
}


def test_what_a_config_leaves_out_is_what_moshi_takes_for_it() -> None:
    assert loaders._mimi_config == MIMI
    assert file_names({}) == {
        "moshi_name": loaders.MOSHI_NAME,
        "mimi_name": loaders.MIMI_NAME,
        "tokenizer_name": loaders.TEXT_TOKENIZER_NAME,
    }


def test_files_are_those_that_the_config_names() -> None:
    names = {"moshi_name": "a", "mimi_name": "b", "tokenizer_name": "c", "mimi_config_name": "d"}
    assert file_names(names | STT) == names


def test_languages_are_stated_or_known_by_the_name() -> None:
    assert languages_of("kyutai/stt-2.6b-en", {}) == ("en",)
    assert languages_of("kyutai/stt-2.6b-en", {"languages": ["is"]}) == ("is",)
    assert languages_of("someone/else", {}) == ("und",)


def test_a_speech_to_text_config_is_run() -> None:
    check("some", STT)
    check("some", STT | {"positional_embedding": "none", "kv_repeat": 1, "dep_q": 0, "delays": [0, 0]})


@pytest.mark.parametrize("other", [{"stt_config": {}}, {"model_type": "moshi"}])
def test_a_config_for_another_task_is_refused(other: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="some is not a speech-to-text checkpoint"):
        check("some", STT | other)


def test_a_config_that_states_no_type_is_known_by_its_delay() -> None:
    check("some", {setting: value for setting, value in STT.items() if setting != "model_type"})


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("kyutai/stt-1b-en_fr-trfs", "kyutai/stt-1b-en_fr-candle"),
        ("kyutai/stt-2.6b-en-trfs", "kyutai/stt-2.6b-en"),
    ],
)
def test_the_format_of_transformers_is_refused_with_the_repository_to_take(name: str, own: str) -> None:
    with pytest.raises(ModelError, match=f"^{name} is in the format of .*: take {own} instead$"):
        check(name, {"model_type": "kyutai_speech_to_text", "hidden_size": 2048})


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("dep_q", 2),
        ("delays", [0, 1]),
        ("conditioners", {"lang": {}}),
        ("cross_attention", True),
        ("kv_repeat", 4),
        ("positional_embedding", "sin"),
        ("context", None),
        ("quantize", True),
        ("lora", True),
        ("norm_emb", True),
        ("demux_second_text_stream", True),
        ("demux_second_stream", True),
        ("fuser", {"sum": ["lang"]}),
    ],
)
def test_a_part_that_is_not_run_is_named(setting: str, value: object) -> None:
    with pytest.raises(ModelError, match=f"^some needs what this version does not run: {setting} in its config.json$"):
        check("some", STT | {setting: value})


def test_all_parts_that_are_not_run_are_named() -> None:
    with pytest.raises(ModelError, match=r"does not run: dep_q, lora in its config\.json"):
        check("some", STT | {"dep_q": 2, "lora_name": "lora.safetensors"})
