"""`captions serve`: the server."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import resource
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn

from captions import __version__, logs
from captions.cli.errors import CommandError
from captions.config import Config, is_loopback, load
from captions.models import load as models
from captions.models.model import Model, ModelInfo
from captions.server.server import Server, ServerFailed

__all__ = ["add_to"]

_LANGUAGES = {"en": "English", "fr": "French", "und": "unknown languages"}


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("serve", help="run the server", description="Run the captions server.")
    parser.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on; 0 takes a free one (default: 8080)")
    parser.add_argument("--model", help="auto, moonshine, digits, a name on the model hub, or a folder")
    parser.add_argument("--lanes", type=int, help="tracks the model hears at once (default: what suits it)")
    parser.add_argument("--role", choices=("all", "speech", "watch"), help="of a node among several (default: all)")
    parser.add_argument("--redis", metavar="URL", help="what the nodes share (default: nothing, this node is alone)")
    parser.add_argument("--config", type=Path, help="configuration file (default: config.toml, if there is one)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    logs.configure()
    default = Path("config.toml")
    flags = {
        "server": {"host": arguments.host, "port": arguments.port},
        "model": {"name": arguments.model, "lanes": arguments.lanes},
        "cluster": {"role": arguments.role, "redis": arguments.redis},
    }
    file = arguments.config or (default if default.exists() else None)
    read = partial(load, file, dict(os.environ), flags)
    config = read()
    _allow_all_files()
    try:
        if config.server.fronts:
            _serve_by_fronts(config, read)
        else:
            model = None if config.cluster.role == "watch" else models.load(config.model)
            asyncio.run(_serve(config, model, read))
    except OSError as error:
        where = f"{config.server.host}:{config.server.port}"
        raise CommandError(f"cannot listen on {where}: {error.strerror or error}") from None
    except ServerFailed as error:
        if error.stuck:
            _leave(f"captions: {error}")
        raise CommandError(str(error)) from None
    return 0


def _leave(message: str) -> NoReturn:
    """End the process at once: an ordinary end would free what a thread that stands still is using."""
    print(message, file=sys.stderr, flush=True)
    logging.shutdown()
    os._exit(1)


def _allow_all_files() -> None:
    """Use as many file descriptors as the system allows: every connection is one, and the default is often 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _serve_by_fronts(config: Config, read: Callable[[], Config]) -> None:
    from captions.server.supervisor import Supervisor

    supervisor = Supervisor(config, partial(models.load, config.model), reread=read)
    supervisor.run(lambda info: print(_announcement(config, info, supervisor.port), flush=True))


async def _serve(config: Config, model: Model | None, read: Callable[[], Config]) -> None:
    server = Server(config, model, reread=read)

    def announce() -> None:
        print(_announcement(config, None if model is None else model.info, server.port), flush=True)

    await server.run(announce)


def _full_step(info: ModelInfo) -> str:
    """What a step of all lanes takes, if it has been timed."""
    taken_s = dict(info.measured).get(info.lanes)
    return "" if taken_s is None else f"; a step of all lanes takes {taken_s * 1e3:.1f} ms"


def _readable(host: str) -> str:
    """A host that a browser of this machine can be sent to. Microphones are given to localhost, not to addresses."""
    everywhere = host in ("0.0.0.0", "::", "")
    return "localhost" if everywhere or is_loopback(host) else f"[{host}]" if ":" in host else host


def _announcement(config: Config, info: ModelInfo | None, port: int) -> str:
    if info is None:
        return f"Captions {__version__} is a gateway on http://{config.server.host}:{port}/: it hears nothing itself"
    known = " and ".join(_LANGUAGES.get(language, language) for language in info.languages)
    scheme = "wss" if config.server.tls_cert else "ws"
    lines = [
        f"Captions {__version__} listens on {scheme}://{config.server.host}:{port}/v1/stream",
        f"  page {scheme.replace('ws', 'http')}://{_readable(config.server.host)}:{port}/",
        f"  model {info.name}, {info.lanes} lanes, knows {known}",
        f"  on {info.device}{_full_step(info)}",
    ]
    if info.name.startswith("moonshine"):
        lines.append("  this is the model for machines without a GPU: it knows no French; Kyutai's does")
    return "\n".join(lines)
