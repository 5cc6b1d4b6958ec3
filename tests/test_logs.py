"""Structured logs."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator

import pytest

from captions import logs


@pytest.fixture(autouse=True)
def _root_logger_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.splitlines()[-1]


def test_a_line_is_one_json_object_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    logging.getLogger("captions.server").info("ready", extra={"lanes": 4, "model": "moonshine"})
    fields = json.loads(last_line(capsys))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", fields.pop("time"))
    assert fields == {"level": "info", "event": "ready", "lanes": 4, "model": "moonshine"}


def test_an_exception_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    try:
        raise ValueError("no lanes")
    except ValueError:
        logging.getLogger("captions").exception("failed")
    fields = json.loads(last_line(capsys))
    assert fields["event"] == "failed"
    assert fields["exception"].endswith("ValueError: no lanes")


def test_what_json_does_not_know_is_written_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    logging.getLogger("captions").info("odd", extra={"thing": {1}})
    assert json.loads(last_line(capsys))["thing"] == "{1}"


def test_on_a_terminal_lines_are_for_people(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    logs.configure()
    logging.getLogger("captions.server").info("ready", extra={"lanes": 4})
    assert re.fullmatch(r"\d\d:\d\d:\d\d ready lanes=4", last_line(capsys))


def test_the_chatter_of_websockets_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    logging.getLogger("websockets.server").info("connection open")
    assert capsys.readouterr().err == ""
