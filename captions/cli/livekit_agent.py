"""`captions livekit-agent`: captions in the rooms of a LiveKit server, which dispatches them to it."""

from __future__ import annotations

import argparse
import asyncio
import os

from captions import logs
from captions.cli.errors import CommandError
from captions.cli.watch import LOCAL

__all__ = ["add_to", "run"]

_OF_LIVEKIT = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "livekit-agent",
        help="caption the rooms of a LiveKit server",
        description="Joins the rooms that LiveKit dispatches to it, has everybody in them heard by a captions server, "
        f"and publishes captions in the room. Reads {', '.join(_OF_LIVEKIT)} from the environment, as LiveKit's own "
        "tools do. Needs the extra livekit.",
    )
    parser.add_argument("--url", default=LOCAL, help=f"the captions server, ws://host:port (default: {LOCAL})")
    parser.add_argument("--key", help="a key that may publish there (default: CAPTIONS_KEY of the environment)")
    parser.add_argument("--language", default="en", help="what is spoken (default: en)")
    parser.add_argument(
        "--agent-name", default="", help="by which it is asked for (default: none, so that every room is dispatched)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    missing = [name for name in _OF_LIVEKIT if not os.environ.get(name)]
    if missing:
        raise CommandError(f"LiveKit's address and keys are needed: set {', '.join(missing)} in the environment")
    try:
        from captions.livekit.worker import worker
    except ImportError:
        raise CommandError("this needs the extra livekit: pip install 'captions[livekit]'") from None
    logs.configure()
    livekit_url, api_key, api_secret = (os.environ[name] for name in _OF_LIVEKIT)
    key = arguments.key or os.environ.get("CAPTIONS_KEY")
    server = worker(
        arguments.url,
        key,
        arguments.language,
        livekit_url=livekit_url,
        api_key=api_key,
        api_secret=api_secret,
        agent_name=arguments.agent_name,
    )
    asyncio.run(server.run())
    return 0
