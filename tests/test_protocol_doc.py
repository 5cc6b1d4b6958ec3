"""docs/protocol.md says what is true: every example is sent or read, every message and error code has one."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import wave
from pathlib import Path
from typing import Any, get_args

import msgspec
import numpy as np
import pytest

from captions.doors.native import messages as native
from captions.doors.native.messages import Error, Flushed, Pong, Ready, Started, Stopped
from tests.server.harness import PATIENCE_S, serving
from tests.speech import saying

PAGE = (Path(__file__).parents[1] / "docs" / "protocol.md").read_text(encoding="utf-8")


def examples(whose: str) -> list[dict[str, Any]]:
    """The messages in fenced blocks marked `json client` or `json server`, one or more a block."""
    found: list[dict[str, Any]] = []
    for block in re.findall(rf"^```json {whose}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        rest = block.strip()
        while rest:
            message, end = json.JSONDecoder().raw_decode(rest)
            found.append(message)
            rest = rest[end:].strip()
    return found


def tag_of(struct: type[msgspec.Struct]) -> str:
    return str(struct.__struct_config__.tag)


def tags(union: object) -> set[str]:
    return {tag_of(struct) for struct in get_args(union)}


@pytest.mark.parametrize("example", examples("client"), ids=lambda e: e["type"])
def test_a_clients_example_is_a_message_with_no_field_unknown(example: dict[str, Any]) -> None:
    message = native.decode_client(json.dumps(example).encode(), "json")
    assert not isinstance(message, native.SpoiltPackets)
    assert json.loads(native.encode(message, "json")) == example


@pytest.mark.parametrize("example", examples("server"), ids=lambda e: e["type"])
def test_a_servers_example_is_read_by_our_client_with_no_field_unknown(example: dict[str, Any]) -> None:
    message = native.decode_server(json.dumps(example))
    assert json.loads(native.encode(message, "json")) == example


async def test_a_server_takes_the_clients_examples_in_the_order_of_the_page() -> None:
    async with serving() as served, served.talker("json") as client:
        sent = [example for example in examples("client") if example["type"] != "resume"]
        for example in sent:
            await client.connection.send(json.dumps(example))
        await client.hear(Stopped)
        heard = [type(message) for message in client.said]
        assert [heard.count(kind) for kind in (Ready, Started, Flushed, Pong, Stopped)] == [1, 2, 1, 1, 1]
        assert client.errors() == []


async def test_the_example_of_resume_is_refused_by_name_where_there_is_no_such_session() -> None:
    async with serving() as served, served.talker("json") as client:
        [resume] = [example for example in examples("client") if example["type"] == "resume"]
        await client.connection.send(json.dumps(resume))
        assert (await client.hear(Error)).code == "not_resumable"


def test_every_message_has_an_example() -> None:
    assert {example["type"] for example in examples("client")} == tags(native.ClientMessage)
    assert {example["type"] for example in examples("server")} == tags(native.ServerMessage)


def test_every_field_is_shown_in_an_example() -> None:
    shown: dict[str, set[str]] = {}
    for example in (*examples("client"), *examples("server")):
        shown.setdefault(example["type"], set()).update(example)
    known = {
        tag_of(struct): {field.name for field in msgspec.structs.fields(struct)}
        for union in (native.ClientMessage, native.ServerMessage)
        for struct in get_args(union)
    }
    missing = {(kind, field) for kind, fields in known.items() for field in fields - shown[kind]}
    assert missing == set()


def test_every_error_code_has_an_example_and_a_line_in_the_table() -> None:
    codes = set(get_args(native.ErrorCode))
    assert {example["code"] for example in examples("server") if example["type"] == "error"} == codes
    assert set(re.findall(r"^\| `([a-z_]+)` \|", PAGE.split("### Errors")[1].split("```")[0], re.MULTILINE)) == codes


def test_every_figure_of_the_latency_block_is_defined() -> None:
    defined = re.findall(r"^\| `([a-z_]+)` \|", PAGE.split("**The latency block.**")[1].split("####")[0], re.MULTILINE)
    assert defined == [field.name for field in msgspec.structs.fields(native.Latency)]


def test_every_link_into_the_page_has_its_heading() -> None:
    headings = re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors


async def test_the_client_in_twenty_lines_captions_a_file(tmp_path: Path) -> None:
    [program] = re.findall(r"^### A client in twenty lines\n.*?^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(program.splitlines()) <= 26
    (tmp_path / "client.py").write_text(program, encoding="utf-8")
    with wave.open(str(tmp_path / "speech.wav"), "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", ""))
        file.writeframes((np.concatenate(saying(1, 2, 3)) * 32_767).astype("<i2").tobytes())
    async with serving() as served:
        running = await asyncio.create_subprocess_exec(
            sys.executable, "client.py", served.url, "speech.wav", cwd=tmp_path, stdout=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(PATIENCE_S):
            said, _ = await running.communicate()
    assert (running.returncode, said.decode()) == (0, "w1 w2 w3\n")
