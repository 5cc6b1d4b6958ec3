"""A checkpoint run by another implementation of the format: Hugging Face transformers' Mimi and Kyutai classes.

It hears the whole recording at once, without streaming; our model hears it frame by frame in a batch. Codes and tokens
must be the same. Their attention is given moshi's streaming window: theirs forgets nothing in the language model, and
in Mimi moshi's ring loses a place to the second half of a frame before the first half has looked at it. transformers is
not among our dependencies; run this from an environment that has both.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import KyutaiSpeechToTextConfig, KyutaiSpeechToTextForConditionalGeneration, MimiConfig
from transformers.models.mimi import modeling_mimi

from captions.cli.audio_file import blocks
from captions.models.kyutai.checkpoint import Checkpoint
from captions.models.kyutai.model import KyutaiModel
from captions.models.kyutai.torch_backend.backend import TorchBackend
from captions.models.kyutai.torch_backend.weights import Weights
from captions.models.model import Batch
from captions.types import FRAME_SAMPLES, FRAMES_PER_SECOND, SAMPLE_RATE, Pcm

__all__ = ["compare"]

LANES = 3

MIMI_NAMES = (
    (r"^encoder\.model\.", "encoder.encoder_seanet.layers."),
    (r"\.conv\.conv\.(weight|bias)$", r".conv.\1"),
    (r"^downsample\.conv\.conv\.", "encoder.downsample.conv."),
    (r"^encoder_transformer\.transformer\.", "encoder.encoder_transformer."),
    (r"self_attn\.out_projs\.0", "self_attn.o_proj"),
    (r"norm1", "input_layernorm"),
    (r"norm2", "post_attention_layernorm"),
    (r"layer_scale_1", "self_attn_layer_scale"),
    (r"layer_scale_2", "mlp_layer_scale"),
    (r"linear(\d)", r"mlp.fc\1"),
    (r"rvq_first\.", "semantic_residual_vector_quantizer."),
    (r"rvq_rest\.", "acoustic_residual_vector_quantizer."),
    (r"\.vq\.layers", ".layers"),
    (r"_codebook\._initialized", "codebook.initialized"),
    (r"_codebook\.embedding_sum", "codebook.embed_sum"),
    (r"_codebook\.", "codebook."),
)
LM_NAMES = (
    (r"^transformer\.", "model."),
    (r"self_attn\.out_projs\.0", "self_attn.o_proj.linear"),
    (r"norm1\.alpha", "input_layernorm.weight"),
    (r"norm2\.alpha", "post_attention_layernorm.weight"),
    (r"gating\.linear_in", "mlp.fc1"),
    (r"gating\.linear_out", "mlp.fc2"),
    (r"^out_norm\.alpha", "model.norm.weight"),
)


def theirs(checkpoint: Checkpoint) -> Any:
    """transformers' model with the checkpoint's weights, in float32."""
    lm, mimi = checkpoint.config, checkpoint.mimi_config
    seanet, quantizer, transformer = mimi["seanet"], mimi["quantizer"], mimi["transformer"]
    codec = MimiConfig(
        hidden_size=seanet["dimension"],
        num_filters=seanet["n_filters"],
        upsampling_ratios=seanet["ratios"],
        codebook_size=quantizer["bins"],
        codebook_dim=quantizer["dimension"],
        vector_quantization_hidden_dimension=quantizer["dimension"],
        num_quantizers=quantizer["n_q"],
        num_hidden_layers=transformer["num_layers"],
        intermediate_size=transformer["dim_feedforward"],
        num_attention_heads=transformer["num_heads"],
        num_key_value_heads=transformer["num_heads"],
        sliding_window=transformer["context"],
        upsample_groups=seanet["dimension"],
    )
    state = {name: value.float() for name, value in load_file(checkpoint.lm_path).items()}
    text, card, codebooks = lm["text_card"] + 1, lm["card"] + 1, lm["n_q"]
    config = KyutaiSpeechToTextConfig(
        vocab_size=text,
        codebook_vocab_size=card,
        num_codebooks=codebooks,
        hidden_size=lm["dim"],
        num_hidden_layers=lm["num_layers"],
        num_attention_heads=lm["num_heads"],
        ffn_dim=state["transformer.layers.0.gating.linear_in.weight"].shape[0],
        max_position_embeddings=lm["context"],
        sliding_window=lm["context"],
        rope_parameters={"rope_type": "default", "rope_theta": lm["max_period"]},
        rms_norm_eps=1e-8,
        audio_bos_token_id=lm["card"],
        audio_pad_token_id=text + codebooks * card,
        bos_token_id=lm["text_card"],
        codec_config=codec,
    )
    model = KyutaiSpeechToTextForConditionalGeneration(config).eval()
    tables = [state.pop("text_emb.weight"), *(state.pop(f"emb.{k}.weight") for k in range(codebooks))]
    head = state.pop("text_linear.weight")
    named = _renamed(state, LM_NAMES, lm["num_heads"], ".linear.weight")
    named = {name: value for name, value in named.items() if not name.startswith(("extra_heads", "depformer"))}
    named["model.embed_tokens.embed_tokens.weight"] = torch.cat([*tables, torch.zeros(1, lm["dim"])])
    named["lm_head.weight"] = torch.cat([head, torch.zeros(1, lm["dim"])])
    codec_state = _renamed(load_file(checkpoint.mimi_path), MIMI_NAMES, transformer["num_heads"], ".weight")
    encoder = {name: value for name, value in codec_state.items() if not name.startswith(("decoder", "upsample"))}
    missing, unexpected = model.load_state_dict(
        named | {f"codec_model.{name}": value for name, value in encoder.items()}, strict=False
    )
    lost = [name for name in missing if "decoder" not in name]
    if lost or unexpected:
        raise SystemExit(f"the two implementations name their weights differently: {lost} {unexpected}")
    return model


def _renamed(state: dict[str, Tensor], names: tuple[tuple[str, str], ...], heads: int, end: str) -> dict[str, Tensor]:
    """Their names; and the joint projection in three, queries and keys with the halves of a pair apart."""
    renamed: dict[str, Tensor] = {}
    for name, value in state.items():
        if "in_projs" in name:
            place = re.sub(r"in_projs\.0\.weight$", "", name)
            parts = [value_of.unflatten(0, (heads, -1, 2)) for value_of in value.chunk(3)]
            query, key = (part.transpose(1, 2).flatten(0, 2) for part in parts[:2])
            for letter, part in zip("qkv", (query, key, value.chunk(3)[2]), strict=True):
                renamed[_rename(f"{place}{letter}_proj{end}", names)] = part
        else:
            new = _rename(name, names)
            renamed[new] = value.flatten() if name.endswith("alpha") else value
    return renamed


def _rename(name: str, names: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in names:
        name = re.sub(pattern, replacement, name)
    return name


def ours(folder: Path, frames: Pcm) -> tuple[Tensor, list[int]]:
    """Codes [T, K] and tokens [T] of the middle lane of a batch whose other lanes hear something else."""
    checkpoint = Checkpoint.find(str(folder))
    backend = TorchBackend(Weights.load(checkpoint, torch.device("cpu"), torch.float32), LANES)
    model = KyutaiModel(checkpoint, checkpoint.load_tokenizer(), backend)
    model.warm_up()
    heard: list[Tensor] = []
    encode = backend.encoder.encode

    def listen(pcm: Tensor) -> Tensor:
        codes: Tensor = encode(pcm)
        heard.append(codes[1].clone())
        return codes

    backend.encoder.encode = listen  # type: ignore[method-assign]
    batch = Batch.of(LANES, FRAME_SAMPLES)
    batch.active[:] = True
    tokens = []
    for frame in frames:
        batch.pcm[:] = np.stack([frame[::-1], frame, frame * 0.3])
        model.step(batch)
        tokens.append(int(model.tokens[1]))
    return torch.stack(heard), tokens


def compare(folder: Path, audio: Path, seconds: float) -> tuple[int, int, int, int]:
    """Frames, codes, and how many of the codes and of the tokens are equal, over the first `seconds` of a recording."""
    torch.set_num_threads(1)
    pcm = np.concatenate(list(blocks(audio, SAMPLE_RATE // 10, SAMPLE_RATE)))
    count = int(min(len(pcm), seconds * SAMPLE_RATE)) // FRAME_SAMPLES
    frames = pcm[: count * FRAME_SAMPLES].reshape(count, FRAME_SAMPLES)
    codes, tokens = ours(folder, frames)
    checkpoint = Checkpoint.find(str(folder))
    model, lm = theirs(checkpoint), checkpoint.config
    with torch.inference_mode():
        whole = torch.from_numpy(frames.reshape(1, 1, -1))
        per_frame = round(model.codec_model.config.encodec_frame_rate / FRAMES_PER_SECOND)
        mask = _window(count * per_frame, checkpoint.mimi_config["transformer"]["context"], per_frame)
        modeling_mimi.create_sliding_window_causal_mask = lambda **_: mask
        their_codes = model.codec_model.encode(whole, num_quantizers=lm["n_q"]).audio_codes[0].T
        # Each step sees the codes of a frame and the token before; the first, the start tokens.
        start = torch.tensor([[lm["text_card"], *[lm["card"]] * lm["n_q"]]])
        first = _greedy(model, start, lm)
        said = torch.tensor([*first, *tokens[:-1]])[:, None]
        inputs = torch.cat([start, torch.cat([said, codes], dim=1)])
        their_tokens = _greedy(model, inputs, lm)[1:]
    equal_codes = int((their_codes == codes).sum())
    equal_tokens = sum(mine == other for mine, other in zip(tokens, their_tokens, strict=True))
    return count, codes.numel(), equal_codes, equal_tokens


def _greedy(model: Any, inputs: Tensor, lm: dict[str, Any]) -> list[int]:
    """The likeliest token after each row of inputs [T, 1 + K]."""
    mask = _window(len(inputs), lm["context"], 1)
    out = model.model(input_ids=inputs[None], attention_mask=mask, use_cache=False).last_hidden_state
    tokens: list[int] = model.lm_head(out)[0, :, : lm["text_card"]].argmax(-1).tolist()
    return tokens


def _window(count: int, context: int, per_frame: int) -> Tensor:
    """Who sees whom [1, 1, T, T] where a ring of `context` places takes `per_frame` at a time before any looks."""
    place = torch.arange(count)
    oldest = (place // per_frame + 1) * per_frame - context
    return ((place[None] <= place[:, None]) & (place[None] >= oldest[:, None]))[None, None]
