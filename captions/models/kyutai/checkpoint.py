"""A checkpoint of Kyutai's speech-to-text on this machine: found on the model hub or in a folder, and checked.

Everything that depends on the checkpoint is read from its own config.json. Loading the weights is a backend's part.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sentencepiece

from captions.models.kyutai.config import CONFIG_NAME, MIMI, check, file_names, languages_of
from captions.models.kyutai.files import read_json, wrong_files
from captions.models.kyutai.hub import hub_file
from captions.models.kyutai.memory import Memory, memory_of
from captions.models.kyutai.words import END_OF_PADDING, PADDING
from captions.models.model import ModelError
from captions.types import FRAMES_PER_SECOND, frames_in

__all__ = ["Checkpoint"]

LEAST_PREFIX_S = 1.0
"""The 1B can stay silent for a whole utterance if its audio begins inside a word. Silence in front cures it."""

CLOSING_FRAMES = 2
"""A flush's frames beyond the delay: the delay's fraction of a frame, and the step on which a last word closes."""

FILE_BYTES_PER_VALUE = 2
"""The language model's file holds bfloat16."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint whose files are on this machine and whose config has been checked. Call `find` to get one.

    `config`: its config.json, with the language model's settings; `mimi_config`: Mimi's settings; both as moshi reads
    them. The paths are its files; `mimi_config_path` is None for Kyutai's own Mimi. `delay_frames`: the whole frames in
    the delay. 0.5 s are 6 frames, as in Kyutai's own server, and word times come out unbiased. `prefix_frames`: silence
    in front, at least a second. `pause_heads` may be 0. `padding`, `end_of_padding`: the ids of these two tokens.
    """

    name: str
    config: dict[str, Any]
    mimi_config: dict[str, Any]
    config_path: Path
    lm_path: Path
    mimi_path: Path
    mimi_config_path: Path | None
    tokenizer_path: Path
    languages: tuple[str, ...]
    delay_frames: int
    prefix_frames: int
    pause_heads: int
    padding: int
    end_of_padding: int

    @classmethod
    def find(cls, name_or_folder: str) -> Checkpoint:
        """Find a checkpoint, bringing it from the model hub if it is not here yet.

        Raises:
            ModelError: no network, missing files, or files of something else.
        """
        folder = Path(name_or_folder).expanduser()
        if folder.is_dir():
            name, config_path = folder.resolve().name, folder / CONFIG_NAME
            if not config_path.is_file():
                raise ModelError(f"{folder} holds no {CONFIG_NAME}: it is not a checkpoint's folder")
            config = read_json(config_path)
            check(name, config)
            paths = {role: folder / file for role, file in file_names(config).items()}
            missing = sorted(path.name for path in paths.values() if not path.is_file())
            if missing:
                raise ModelError(f"{folder} lacks {', '.join(missing)}, which its {CONFIG_NAME} names")
        else:
            if folder.is_absolute() or name_or_folder.startswith(("./", "../", "~")):
                raise ModelError(f"there is no folder {folder}")
            name, config_path = name_or_folder, hub_file(name_or_folder, CONFIG_NAME)
            config = read_json(config_path)
            check(name, config)
            paths = {role: hub_file(name, file) for role, file in file_names(config).items()}
        mimi_config_path = paths.get("mimi_config_name")
        with wrong_files(name):
            stt = config["stt_config"]
            return cls(
                name=name,
                config=config,
                mimi_config=MIMI if mimi_config_path is None else read_json(mimi_config_path),
                config_path=config_path,
                lm_path=paths["moshi_name"],
                mimi_path=paths["mimi_name"],
                mimi_config_path=mimi_config_path,
                tokenizer_path=paths["tokenizer_name"],
                languages=languages_of(name, config),
                delay_frames=int(stt["audio_delay_seconds"] * FRAMES_PER_SECOND),
                prefix_frames=frames_in(max(LEAST_PREFIX_S, stt.get("audio_silence_prefix_seconds", 0.0))),
                pause_heads=config.get("extra_heads_num_heads", 0),
                padding=config.get("existing_text_padding_id", PADDING),
                end_of_padding=config.get("existing_text_end_padding_id", END_OF_PADDING),
            )

    @property
    def flush_frames(self) -> int:
        """Silence that brings the last words out."""
        return self.delay_frames + CLOSING_FRAMES

    def memory(self, bytes_per_value: int) -> Memory:
        """What it takes on paper, with the language model in values of `bytes_per_value`.

        Only Mimi's encoder half is kept; the decoder half is about as large, and is in the same file.
        """
        lm_file, mimi_file = self.lm_path.stat().st_size, self.mimi_path.stat().st_size
        weights = lm_file * bytes_per_value // FILE_BYTES_PER_VALUE + mimi_file * 6 // 10
        return memory_of(self.config, self.mimi_config, weights, bytes_per_value)

    def load_tokenizer(self) -> sentencepiece.SentencePieceProcessor:
        """The tokenizer, which has a piece for every token the model can say.

        Raises:
            ModelError: the file is no tokenizer, or has too few pieces.
        """
        with wrong_files(self.tokenizer_path.name):
            tokenizer = sentencepiece.SentencePieceProcessor(str(self.tokenizer_path))
            pieces, tokens = tokenizer.get_piece_size(), self.config["text_card"]
            if pieces < tokens:
                raise ValueError(f"{pieces} pieces for {tokens} tokens")
            return tokenizer
