"""A server whose scripted model fails on a word: python -m tests.server.failing_server PORT raise|hang|listener

It raises, or never returns, at the step in which it would say "w13"; or the listener fails over the next packet.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Callable

from captions.cli import serve
from captions.cli.errors import CommandError
from captions.config import ModelConfig
from captions.models import load
from captions.models.model import Batch, LaneOutput, LaneWord
from captions.models.scripted import ScriptedModel
from captions.stream.ear import Ear

FATAL = 13


class Fragile(ScriptedModel):
    """Scripted, until it hears what it cannot bear."""

    def __init__(self, fail: Callable[[], None]) -> None:
        super().__init__(lanes=4)
        self._fail = fail

    def step(self, batch: Batch) -> list[LaneOutput]:
        said = super().step(batch)
        words = [event.text for one in said for event in one.events if isinstance(event, LaneWord)]
        if f"w{FATAL}" in words:
            self._fail()
        return said


def _raise() -> None:
    raise ValueError("a secret that must not be told")


def _hang() -> None:
    threading.Event().wait()


def _break_the_ears() -> None:
    setattr(Ear, "push", lambda _ear, _packet: _raise())  # noqa: B010 -- a fault is injected


def main() -> int:
    port, how = sys.argv[1:]
    fail = {"raise": _raise, "hang": _hang, "listener": _break_the_ears}[how]

    def scripted(_config: ModelConfig) -> Fragile:
        return Fragile(fail)

    setattr(load, "load", scripted)  # noqa: B010 -- everything else is as `captions serve` has it
    parser = argparse.ArgumentParser()
    serve.add_to(parser.add_subparsers())
    arguments = parser.parse_args(["serve", "--port", port])
    try:
        return serve.run(arguments)
    except CommandError as error:
        print(f"captions: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
