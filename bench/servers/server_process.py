"""A captions server that can be asked how it is: `python -m bench.servers.server_process --model speaking --lanes 64`.

Prints one JSON line {"url"} when it is ready, then answers each line on its standard input with one: tasks, threads,
open files, resident memory. It drains when its standard input ends. With fronts it only says its "url".
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial

import msgspec

from bench.measure.process import hurry, open_files, resident_mb
from bench.servers.costly_model import CostlyModel
from bench.servers.speaking_model import SpeakingModel
from captions import logs
from captions.config import Config, ModelConfig
from captions.config import load as load_config
from captions.models import load
from captions.models.model import Model
from captions.models.scripted import ScriptedModel
from captions.server.memory import keep_what_is_loaded
from captions.server.server import Server
from captions.server.supervisor import Supervisor

__all__ = ["main"]

COST_OF = "speaking:"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--model",
        default="auto",
        help="speaking, scripted, or any name `captions serve` takes, behind speaking: for its cost alone",
    )
    parser.add_argument("--lanes", type=int, default=0)
    parser.add_argument("--step-ms", type=float, default=27.0, help="what a step of the speaking model costs")
    parser.add_argument("--core", type=int, help="keep to this processor core")
    parser.add_argument(
        "--urgent", action="store_true", help="before other processes of the machine, if that is allowed"
    )
    parser.add_argument("--settings", type=json.loads, default={}, help="of the server, by section, as JSON")
    arguments = parser.parse_args()
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    if arguments.urgent:
        hurry()
    logs.configure()
    ours: dict[str, dict[str, object]] = {
        "server": {"port": 0},
        "model": {"name": arguments.model, "lanes": arguments.lanes},
        "limits": {"tracks_per_connection": 1_000},
    }
    settings: dict[str, dict[str, object]] = arguments.settings
    config = load_config(None, {}, {name: ours.get(name, {}) | settings.get(name, {}) for name in ours | settings})
    make_model: Callable[[], Model] = partial(load.load, config.model)
    if arguments.model == "speaking":
        make_model = partial(SpeakingModel, arguments.lanes or 64, step_s=arguments.step_ms / 1_000)
    elif arguments.model.startswith(COST_OF):
        costs = msgspec.structs.replace(config.model, name=arguments.model.removeprefix(COST_OF))
        make_model = partial(_costly, costs)
    elif arguments.model == "scripted":
        make_model = partial(ScriptedModel, arguments.lanes or 64)
    if config.server.fronts:
        _serve_by_fronts(config, make_model)
    else:
        asyncio.run(_serve(config, make_model()))


def _serve_by_fronts(config: Config, make_model: Callable[[], Model]) -> None:
    supervisor = Supervisor(config, make_model)
    url = f"ws://127.0.0.1:{supervisor.port}"

    def stop_at_the_end() -> None:
        sys.stdin.read()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop_at_the_end, daemon=True).start()
    supervisor.run(lambda info: _say({"url": url, "model": info.name, "lanes": info.lanes}))


async def _serve(config: Config, model: Model) -> None:
    server = Server(config, model)
    await server.start()
    keep_what_is_loaded()
    _say({"url": f"ws://127.0.0.1:{server.port}", "model": model.info.name, "lanes": model.info.lanes})
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        gc.collect()
        _say(
            {
                "tasks": len(asyncio.all_tasks()),
                "threads": threading.active_count(),
                "files": open_files(os.getpid()),
                "resident_mb": resident_mb(os.getpid()),
                "objects": len(gc.get_objects()),
            }
        )
    await server.stop()


def _costly(config: ModelConfig) -> Model:
    return CostlyModel(load.load(config))


def _say(message: dict[str, object]) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main()
