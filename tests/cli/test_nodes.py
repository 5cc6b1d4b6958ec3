"""`captions nodes`."""

from __future__ import annotations

import asyncio
import io
import json

import pytest
from rich.console import Console

from captions.__main__ import main
from captions.cli.nodes import table
from captions.cluster.node import Node
from tests.server.harness import serving


def test_the_table_shows_what_an_operator_looks_for() -> None:
    console = Console(file=io.StringIO(), width=160)
    console.print(
        table(
            [Node("n1", "ws://n1:8080", "speech", "m", ("fr",), 0.254, True, 12, 3, "0.1.0", 1_000.0)],
            now=1_000.0 + 3_725,
        )
    )
    assert isinstance(console.file, io.StringIO)
    row = console.file.getvalue().splitlines()[4].split()
    for cell in ("n1", "ws://n1:8080", "speech", "25%", "12", "3", "1", "02", "0.1.0", "draining"):
        assert cell in row


async def test_it_asks_any_of_the_nodes(capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(keys={"publish": ["secret"]}) as served:
        ask = ["nodes", "--url", served.url, "--key", "secret"]
        assert await asyncio.to_thread(main, [*ask, "--json"]) == 0
        assert [node["address"] for node in json.loads(capsys.readouterr().out)] == [served.url]
        assert await asyncio.to_thread(main, [*ask, "--once"]) == 0
        assert "1 nodes" in capsys.readouterr().out
        assert await asyncio.to_thread(main, [*ask[:-1], "wrong", "--once"]) == 1
        assert "401" in capsys.readouterr().err
