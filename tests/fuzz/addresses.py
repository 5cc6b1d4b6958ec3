"""Paths, queries and headers as strangers write them: matched, refused with a name, or not there."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from captions.config import Config, KeysConfig
from captions.doors.names import MOST_ERROR_CHARACTERS, NameProblem
from captions.server.access import Access, key_in
from captions.server.origins import Origins
from captions.server.routes import match

__all__ = ["check", "seeds"]

_locked = Config(keys=KeysConfig(publish=("the one key there is",)))
_origins = (Origins(Config()), Origins(_locked))
_access = Access(_locked)


def seeds() -> list[bytes]:
    return [
        b"/v1/stream?key=k\nAuthorization: Bearer k\nHost: localhost",
        b"/api/asr-streaming?room=r&participant=a%0Ab&name=\xc3\xa9\nkyutai-api-key: k",
        b"/v1/livekit?room=r&track=t&sample_rate=48000&channels=2\nHost: [::1]:8080\nOrigin: http://[::1",
        b"/v1/rooms/a%2Fb/captions\nSec-WebSocket-Protocol: captions.v1, captions.key.YWJj",
        b"//[\nOrigin: null",
        b"/v1/rooms/%00%ff/transcript.vtt\nHost: evil.example\nOrigin: https://evil.example",
    ]


def check(data: bytes) -> None:
    """A line of address, then headers."""
    first, *rest = data.decode("latin-1").split("\n")
    headers = {name: value for name, _, value in (line.partition(": ") for line in rest)}
    try:
        split = urlsplit(first)
        query = dict(parse_qsl(split.query))
    except ValueError:
        return
    for origins in _origins:
        origins.refuse(headers)
    assert _access.grant(key_in(headers, query), 0.0) is None
    found = match(split.path)
    if found is None:
        return
    try:
        asked = found.asked(query)
    except NameProblem as error:
        told = str(error)
    else:
        told = ""
        for name in (asked.room, asked.participant):
            assert name is None or len(name) <= 128
    assert len(told) <= MOST_ERROR_CHARACTERS + len("room: ")
