"""What a model and the configuration ask for: of the speech gate, and of how lanes are shared."""

from __future__ import annotations

from captions.config import Config
from captions.models.lane_policy import LanePolicy
from captions.models.model import ModelInfo
from captions.types import frames_in
from captions.vad.gate import GatePolicy

__all__ = ["gate_policy", "lane_policy"]


def gate_policy(info: ModelInfo, config: Config) -> GatePolicy:
    """The speech gate that a model and the configuration ask for."""
    vad = config.vad
    return GatePolicy(vad.onset, vad.release, vad.onset_s, vad.hangover_s or info.hangover_s)


def lane_policy(info: ModelInfo, config: Config) -> LanePolicy:
    """The lane policy that a model and the configuration ask for."""
    lanes = config.lanes
    return LanePolicy(
        lanes=info.lanes,
        flush_frames=info.flush_frames,
        preroll_frames=frames_in(lanes.preroll_s),
        backlog_frames=max(1, frames_in(config.limits.pending_audio_s), frames_in(lanes.preroll_s)),
        wait_frames=frames_in(lanes.wait_s),
        stall_frames=frames_in(lanes.stall_s) + info.delay_frames if info.can_stall and lanes.stall_s else 0,
        feeds_silence=info.feeds_silence,
    )
