"""The body of a request, however the network cuts it, and what websockets sees of it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captions.server.request_body import MOST_BODY_BYTES, RequestBody

POST = b"POST /v1/rtp HTTP/1.1\r\nHost: h\r\ncontent-length: 7\r\nX: y\r\n\r\n"
SEEN = b"POST /v1/rtp HTTP/1.1\r\nHost: h\r\ncontent-length: 0\r\nX: y\r\n\r\n"


@given(st.lists(st.integers(0, len(POST) + 12), max_size=6))
def test_a_body_is_taken_out_wherever_it_is_cut(cuts: list[int]) -> None:
    whole, reader, seen = POST + b'{"a":1}more', RequestBody(), b""
    edges = [0, *sorted(cuts), len(whole)]
    for start, end in pairwise(edges):
        seen += reader.feed(whole[start:end])
    assert (reader.body, seen) == (b'{"a":1}', SEEN + b"more")


@pytest.mark.parametrize(
    "data",
    [
        b"GET /v1/stream HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\n",
        b"DELETE /v1/rtp/x HTTP/1.1\r\nHost: h\r\n\r\n",
        POST.replace(b"7", str(MOST_BODY_BYTES + 1).encode()),
        POST.replace(b"7", b"seven"),
        b"nonsense\r\n\r\n",
    ],
)
def test_what_has_no_body_or_a_wrong_one_passes_as_it_is(data: bytes) -> None:
    reader = RequestBody()
    assert (reader.feed(data), reader.body) == (data, b"")
    assert reader.feed(b"more") == b"more"


def test_a_head_without_end_is_not_kept_for_ever() -> None:
    reader = RequestBody()
    seen = b"".join(reader.feed(b"POST " + b"x" * 995) for _ in range(20))
    assert len(seen) == 20_000


@pytest.mark.parametrize("part", [b"G", b"GE", b"GET"])
def test_a_method_cut_short_is_waited_for(part: bytes) -> None:
    reader = RequestBody()
    assert reader.feed(part) == b""
    assert reader.feed(b"GET /"[len(part) :]) == b"GET /"
