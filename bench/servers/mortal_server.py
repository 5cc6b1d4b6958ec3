"""`captions serve` with the speaking model, and a way to die: `python -m bench.servers.mortal_server PORT HOW`.

On SIGUSR1 the next step of the model raises ("step-raises") or never returns ("step-hangs"), or the next packet that
is heard raises ("listener-raises"). "warm-up-raises" needs no signal. With "not" it does nothing of the kind.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from bench.servers.speaking_model import SpeakingModel
from captions.cli import serve
from captions.cli.errors import CommandError
from captions.config import ConfigError, ModelConfig
from captions.models import load
from captions.models.model import Batch, LaneOutput
from captions.stream.ear import Ear
from captions.stream.timeline import Packet

__all__ = ["WAYS", "main"]

WAYS = ("step-raises", "step-hangs", "listener-raises", "warm-up-raises", "not")


class _Mortal(SpeakingModel):
    """Speaks until its hour has come."""

    def __init__(self, how: str) -> None:
        super().__init__(lanes=8)
        self._how = how
        self.hour_has_come = False

    def warm_up(self) -> None:
        if self._how == "warm-up-raises":
            raise ValueError("it did not warm up")
        super().warm_up()

    def step(self, batch: Batch) -> list[LaneOutput]:
        if self.hour_has_come and self._how == "step-raises":
            raise ValueError("an error nobody foresaw")
        if self.hour_has_come and self._how == "step-hangs":
            threading.Event().wait()
        return super().step(batch)


def main() -> int:
    port, how = sys.argv[1:]
    model = _Mortal(how)

    def mortal(_config: ModelConfig) -> _Mortal:
        return model

    def strike(*_: object) -> None:
        model.hour_has_come = True
        if how == "listener-raises":
            setattr(Ear, "push", _fail)  # noqa: B010 -- a fault is injected

    setattr(load, "load", mortal)  # noqa: B010 -- all else is as `captions serve` has it
    signal.signal(signal.SIGUSR1, strike)
    parser = argparse.ArgumentParser()
    serve.add_to(parser.add_subparsers())
    try:
        return serve.run(parser.parse_args(["serve", "--port", port]))
    except (CommandError, ConfigError) as error:
        print(f"captions: {error}", file=sys.stderr)
        return 1


def _fail(_ear: Ear, _packet: Packet) -> None:
    raise ValueError("an error nobody foresaw")


if __name__ == "__main__":
    sys.exit(main())
