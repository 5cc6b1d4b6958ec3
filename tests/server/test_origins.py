"""Which web pages are let in: a browser says whose page asks, and under which name of the server."""

from __future__ import annotations

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from captions.config import load
from captions.server.origins import Origins
from tests.server.harness import serving

EVIL = "https://evil.example"
MEET = "https://meet.example.org"
ROUTES = ("/v1/stream", "/v1/livekit?room=r&track=t", "/api/asr-streaming", "/v1/rooms/daily/captions")
TRANSCRIPT = "/v1/rooms/daily/transcript.txt"


def is_let_in(
    host: str | None, origin: str | None, *, keys: tuple[str, ...] = (), listed: tuple[str, ...] = ()
) -> bool:
    origins = Origins(load(None, {}, {"keys": {"publish": keys}, "server": {"origins": listed}}))
    headers = {name: value for name, value in (("Host", host), ("Origin", origin)) if value is not None}
    return origins.refuse(headers) is None


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8080", "127.0.0.1:80", "127.8.8.8", "[::1]:8080", "LOCALHOST"]
)
@pytest.mark.parametrize("origin", [None, "http://localhost:3000", "https://127.0.0.1", "http://[::1]:80", ""])
def test_without_keys_pages_and_programs_of_this_machine_are_let_in(host: str, origin: str | None) -> None:
    assert is_let_in(host, origin)


@pytest.mark.parametrize(
    "host", [None, "", "evil.example", "evil.example:8080", "localhost.evil.example", "10.0.0.1", "[", "x@y", "[::2]"]
)
def test_without_keys_no_other_name_of_the_server_is_good(host: str | None) -> None:
    assert not is_let_in(host, None)


@pytest.mark.parametrize("origin", [EVIL, "http://localhost.evil.example", "null", "file://", "http://[", "localhost"])
def test_without_keys_no_other_page_is_let_in(origin: str) -> None:
    assert not is_let_in("localhost:8080", origin)


@pytest.mark.parametrize(
    ("host", "origin", "listed", "let_in"),
    [
        ("captions.example.org", None, (), True),
        ("captions.example.org", "https://captions.example.org", (), True),
        ("captions.example.org:8443", "https://captions.example.org:8443", (), True),
        ("captions.example.org", "https://captions.example.org:8443", (), False),
        ("captions.example.org", MEET, (), False),
        ("captions.example.org", MEET, (MEET,), True),
        ("captions.example.org", MEET, ("https://MEET.example.org",), True),
        ("captions.example.org", "http://meet.example.org", (MEET,), False),
        ("captions.example.org", EVIL, (MEET,), False),
        ("captions.example.org", EVIL, ("*",), True),
        ("captions.example.org", "null", (), False),
        ("captions.example.org", "http://localhost", (), False),
        ("", "null", (), False),
    ],
)
def test_with_keys_the_servers_own_pages_and_those_listed(
    host: str, origin: str | None, listed: tuple[str, ...], let_in: bool
) -> None:
    assert is_let_in(host, origin, keys=("k",), listed=listed) == let_in


async def refusal_of(url: str, origin: str) -> int | None:
    """The status a WebSocket is refused with, None if it is let in."""
    try:
        async with connect(url, origin=Origin(origin), proxy=None):
            return None
    except InvalidStatus as error:
        return error.response.status_code


async def test_a_foreign_page_neither_publishes_nor_watches_nor_reads_what_was_said() -> None:
    async with serving() as served:
        assert [await refusal_of(served.url + path, EVIL) for path in ROUTES] == [403] * 4
        assert [await refusal_of(served.url + path, "http://localhost:3000") for path in ROUTES] == [None] * 4
        assert (await served.get(TRANSCRIPT, {"Origin": EVIL}))[0] == 403
        assert (await served.get(TRANSCRIPT, {"Host": "evil.example"}))[0] == 403
        assert (await served.get(TRANSCRIPT))[0] == 200
        assert await served.metric("captions_errors_total", code="forbidden") == 6
        await served.nothing_held()


async def test_an_operator_may_ask_under_any_name() -> None:
    async with serving() as served:
        asked = [await served.get(path, {"Host": "captions.internal"}) for path in ("/healthz", "/readyz", "/metrics")]
        assert [status for status, _ in asked] == [200] * 3


async def test_with_keys_a_page_that_has_one_still_has_to_be_listed() -> None:
    async with serving(keys={"publish": ["pub"]}, server={"origins": [MEET]}) as served:
        url = f"{served.url}/v1/rooms/daily/captions"
        assert await refusal_of(f"{url}?key=pub", MEET) is None
        assert await refusal_of(f"{url}?key=pub", EVIL) == 403
        assert await refusal_of(url, MEET) == 401
