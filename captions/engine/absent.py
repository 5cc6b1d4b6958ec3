"""The engine of a gateway, which hears nothing: it has no model, no detector and no threads."""

from __future__ import annotations

from captions.engine.engine import Engine, EngineCensus
from captions.models.model import ModelInfo

__all__ = ["AbsentEngine"]


_NO_MODEL = ModelInfo("none", ("und",), lanes=0, delay_frames=0, flush_frames=0, feeds_silence=False)


class AbsentEngine(Engine):
    """Answers all that a server asks of an engine to which no route leads, so that no track is ever opened."""

    is_warm = True
    failure = None
    lanes_share = 0.0
    tracks = 0

    def __init__(self) -> None:
        """There is nothing to make."""

    @property
    def info(self) -> ModelInfo:
        return _NO_MODEL

    def start(self) -> None:
        """Nothing to do."""

    async def warm_up(self) -> None:
        """It is."""

    async def idle(self) -> None:
        """It always is."""

    async def stop(self) -> bool:
        return True

    def look(self) -> None:
        """Nothing can fail."""

    def model_strain(self) -> float:
        return 0.0

    def listener_late_s(self) -> float:
        return 0.0

    def census(self) -> EngineCensus:
        return EngineCensus(0, 0, 0, 0, 0)
