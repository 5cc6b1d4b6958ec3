"""`captions check`: what may keep a server from working here, one line each, without starting it."""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeAlias

from rich.console import Console
from rich.text import Text

from captions.config import Config, ConfigError, Key, is_loopback, load
from captions.models.load import has_gpu, resolve
from captions.models.model import ModelError
from captions.rooms.bus import Bus
from captions.rooms.rooms import RoomsAway

__all__ = ["Finding", "add_to", "findings"]

Verdict: TypeAlias = Literal["ok", "note", "bad"]
_MARKS: dict[Verdict, tuple[str, str]] = {"ok": ("ok", "green"), "note": ("note", "yellow"), "bad": ("bad", "bold red")}
_SHORT_KEY = 16
_SPARE_FILES = 200
"""Beside the connections: the model's, the logs', the listening ones."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it stands and, unless all is well, what to do."""

    what: str
    verdict: Verdict
    text: str


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "check",
        help="look for what is wrong",
        description="Look at configuration, address, keys, certificates, model and GPU, one line each. "
        "Exit status 1 if a server would not work.",
    )
    parser.add_argument("--config", type=Path, help="configuration file (default: config.toml, if there is one)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    default = Path("config.toml")
    path = arguments.config or (default if default.exists() else None)
    console, worst = Console(soft_wrap=True), 0
    for finding in findings(path):
        mark, style = _MARKS[finding.verdict]
        console.print(Text(f"{mark:>4} ", style=style).append(f"{finding.what}: {finding.text}", style="default"))
        worst = max(worst, int(finding.verdict == "bad"))
    return worst


def findings(path: Path | None) -> Iterator[Finding]:
    """Everything there is to say, in the order in which a server would meet it."""
    try:
        config = load(path, os.environ)
    except ConfigError as error:
        yield Finding("configuration", "bad", str(error))
        return
    yield Finding("configuration", "ok", str(path) if path else "defaults (no config.toml here)")
    looks: tuple[Callable[[Config], Finding], ...] = (
        _address,
        _files,
        _keys,
        _tokens,
        _origins,
        _hearing,
        _gpu,
        _model,
        _redis,
    )
    yield from (look(config) for look in looks)


def _address(config: Config) -> Finding:
    host, port = config.server.host, config.server.port
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as error:
        return Finding("address", "bad", f"{host}:{port}: {error.strerror or error}")
    reach = "this machine only" if is_loopback(host) else "other machines; put TLS in front, browsers insist"
    return Finding("address", "ok", f"{host}:{port} is free, for {reach}")


def _files(config: Config) -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = config.limits.connections + _SPARE_FILES
    if soft < wanted:
        return Finding("open files", "bad", f"ulimit -n is {soft}; limits.connections wants {wanted}")
    return Finding("open files", "ok", f"{soft}, for {config.limits.connections} connections")


def _keys(config: Config) -> Finding:
    keys = [key.key if isinstance(key, Key) else key for key in (*config.keys.publish, *config.keys.watch)]
    if config.is_open:
        return Finding("keys", "note", "none: everybody on this machine may do everything")
    short = sum(len(key) < _SHORT_KEY for key in keys)
    if short:
        return Finding("keys", "note", f"{short} of {len(keys)} are under {_SHORT_KEY} characters, and may be guessed")
    return Finding("keys", "ok", f"{len(config.keys.publish)} may publish, {len(config.keys.watch)} may watch")


def _tokens(config: Config) -> Finding:
    from captions.server.tokens import Tokens

    issuers = config.tokens.all_issuers
    try:
        Tokens(config.tokens, config.limits)
    except ConfigError as error:
        return Finding("tokens", "bad", str(error))
    return Finding("tokens", "ok", ", ".join(issuer.issuer for issuer in issuers) or "none are taken")


def _origins(config: Config) -> Finding:
    origins = config.server.origins
    if "*" in origins:
        return Finding("web pages", "note", "of any origin, if they have a key")
    return Finding("web pages", "ok", ", ".join(("the server's own", *origins)))


def _hearing(_config: Config) -> Finding:
    try:
        from captions.stream.opus import OpusDecoder
        from captions.vad.silero import SileroVad

        OpusDecoder()
        SileroVad()
    except (ImportError, OSError, RuntimeError) as error:
        return Finding("hearing", "bad", f"{error}; install the package again")
    return Finding("hearing", "ok", "Opus and the speech detector load")


def _gpu(config: Config) -> Finding:
    driver = Path("/proc/driver/nvidia/version").exists()
    if has_gpu(config.model.device):
        return Finding("GPU", "ok", "PyTorch finds an NVIDIA GPU")
    if not driver:
        return Finding("GPU", "ok" if config.model.device != "cuda" else "bad", "none")
    why = "PyTorch does not find it" if find_spec("moshi") else "needs pip install 'captions[kyutai]'"
    return Finding("GPU", "note" if config.model.device != "cuda" else "bad", f"there is one, but {why}")


def _model(config: Config) -> Finding:
    name = resolve(config.model.name, config.model.device)
    if name == "moonshine":
        return Finding("model", "note", "Moonshine tiny: English only, on the CPU; French needs Kyutai's model")
    if not Path(name).expanduser().is_dir():
        return Finding("model", "note", f"{name} comes from the model hub at the first start: captions models pull")
    from captions.models.kyutai.checkpoint import Checkpoint

    try:
        Checkpoint.find(name)
    except ModelError as error:
        return Finding("model", "bad", str(error))
    return Finding("model", "ok", name)


def _redis(config: Config) -> Finding:
    if not config.cluster.redis:
        return Finding("Redis", "ok", "not used: rooms are in memory")
    try:
        asyncio.run(_read_something(config.cluster.redis))
    except RoomsAway as error:
        return Finding("Redis", "bad", str(error))
    return Finding("Redis", "ok", "answers")


async def _read_something(url: str) -> None:
    bus = Bus(url, keep_s=1.0, most_entries=1, most_bytes=1)
    try:
        await bus.before("captions check", None, 1)
    finally:
        await bus.close()
