"""Structured logs."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator

import pytest
from websockets.exceptions import InvalidMessage

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


def complaint(minute: float, error: Exception) -> logging.LogRecord:
    """What a library logs of a stranger, so many minutes after the first."""
    info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("websockets.server", logging.ERROR, "", 0, "opening handshake failed", None, info)
    record.created = 1_000_000.0 + 60.0 * minute
    return record


def test_libraries_complain_of_strangers_once_a_minute_and_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    for minute in (0.0, 0.1, 0.9, 1.0):
        logging.getLogger("websockets.server").handle(complaint(minute, InvalidMessage("no request " + "x" * 500)))
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (first["event"], len(first["error"]), "exception" in first) == ("opening handshake failed", 200, False)
    assert (second["left_out"], "exception" in second) == (2, False)


def test_our_own_lines_are_never_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    for _ in range(3):
        logging.getLogger("captions.server").warning("dropped a slow reader")
    assert len(capsys.readouterr().err.splitlines()) == 3
