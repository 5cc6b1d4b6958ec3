"""Ids and names in addresses: one rule for every door. Error texts: of a bounded length."""

from __future__ import annotations

import pytest

from captions.doors.names import MOST_ERROR_CHARACTERS, NameProblem, error_text, room_of
from captions.doors.native.messages import ProtocolError, decode_client
from captions.server.routes import match

BAD = ["x" * 257, "two\nlines", "bell\x07", "del\x7f"]


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("path", ["/api/asr-streaming", "/v1/livekit"])
@pytest.mark.parametrize("parameter", ["room", "participant", "name"])
def test_no_door_takes_a_name_that_cannot_be(path: str, parameter: str, name: str) -> None:
    found = match(path)
    assert found is not None
    with pytest.raises(NameProblem, match=parameter):
        found.asked({"room": "r", "track": "t", "participant": "p", "name": "n"} | {parameter: name})


@pytest.mark.parametrize("path", ["/v1/rooms/two%0Alines/captions", f"/v1/rooms/{'x' * 129}/transcript.vtt"])
def test_no_room_is_watched_that_cannot_be_published_to(path: str) -> None:
    found = match(path)
    assert found is not None
    with pytest.raises(NameProblem, match="room"):
        found.asked({})


def test_rooms_may_have_any_letters_and_128_of_them() -> None:
    assert [room_of(name) for name in ("salle d'été 会议", "x" * 128, None)] == ["salle d'été 会议", "x" * 128, None]


def test_an_error_repeats_no_more_than_its_bound() -> None:
    assert error_text("short") == "short"
    assert error_text("x" * 200) == "x" * 200
    assert error_text("x" * 201) == "x" * 199 + "…"
    with pytest.raises(ProtocolError) as error:
        decode_client(b'{"type": "' + b"y" * 100_000 + b'"}', "json")
    assert len(str(error.value)) == MOST_ERROR_CHARACTERS
