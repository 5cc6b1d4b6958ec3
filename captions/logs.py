"""Structured logs: one JSON object a line, or plain lines on a terminal. No transcript text, audio or key, ever."""

from __future__ import annotations

import json
import logging
import sys
import time

__all__ = ["configure"]

_QUIET_S = 60.0
_KNOWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        fields |= {key: value for key, value in record.__dict__.items() if key not in _KNOWN}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        extra = "".join(f" {key}={value}" for key, value in record.__dict__.items() if key not in _KNOWN)
        line = f"{time.strftime('%H:%M:%S', time.localtime(record.created))} {record.getMessage()}{extra}"
        return line + ("\n" + self.formatException(record.exc_info) if record.exc_info else "")


class _OnceAMinute(logging.Filter):
    """Libraries' complaints of what strangers do, each at most once a minute, with how many were left out before it.

    Whoever sends nonsense, or uses all file descriptors up, must not fill the log. What is wrong with a stranger's
    request is one line: its traceback would only show the library's own code.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, str], float] = {}
        self._left_out: dict[tuple[str, str], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] not in ("asyncio", "websockets"):
            return True
        kind = (record.name, record.msg.partition("\n")[0])
        if record.created - self._last.get(kind, -_QUIET_S) < _QUIET_S:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return False
        self._last[kind] = record.created
        if left_out := self._left_out.pop(kind, 0):
            record.left_out = left_out
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and type(error).__module__.startswith("websockets"):
            record.exc_info, record.error = None, str(error)[:200]
        return True


def configure(level: int = logging.INFO) -> None:
    """Send logs to standard error: lines a person can read on a terminal, JSON elsewhere."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines() if sys.stderr.isatty() else _JsonLines())
    handler.addFilter(_OnceAMinute())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("websockets").setLevel(logging.WARNING)
