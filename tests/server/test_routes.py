"""The route table: which path is whose, and who is admitted."""

from __future__ import annotations

import pytest

from captions.server.access import Right
from captions.server.routes import ROUTES, match


@pytest.mark.parametrize(
    ("path", "kind", "parts"),
    [
        ("/v1/stream", "native", {}),
        ("/api/asr-streaming", "kyutai", {}),
        ("/v1/livekit", "livekit", {}),
        ("/v1/rooms/daily/captions", "watch", {"room": "daily"}),
        ("/v1/rooms/salle%201%2F%C3%A9t%C3%A9/captions", "watch", {"room": "salle 1/été"}),
        ("/v1/rooms/daily/transcript.vtt", "transcript", {"room": "daily", "form": "vtt"}),
        ("/v1/rooms/daily/transcript.exe", "transcript", {"room": "daily", "form": "exe"}),
        ("/healthz", "health", {}),
        ("/readyz", "readiness", {}),
        ("/metrics", "metrics", {}),
        ("/api/build_info", "build_info", {}),
        ("/api/modules_info", "modules_info", {}),
    ],
)
def test_a_path_has_its_route_and_names_its_parts(path: str, kind: str, parts: dict[str, str]) -> None:
    found = match(path)
    assert found is not None
    assert (found.route.kind, found.parts, found.room) == (kind, parts, parts.get("room"))


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/v1",
        "/v1/stream/",
        "/v1/streams",
        "/v1/rooms//captions",
        "/v1/rooms/a/b/captions",
        "/v1/rooms/a/caption",
        "/v1/rooms/a/transcript",
        "/v1/rooms/a/transcript.",
        "/v1/rooms/a/subtitles.vtt",
        "/healthz/x",
    ],
)
def test_other_paths_have_none(path: str) -> None:
    assert match(path) is None


def test_audio_and_captions_need_a_right_and_what_an_operator_asks_does_not() -> None:
    rights = {route.kind: route.right for route in ROUTES}
    assert {kind for kind, right in rights.items() if right is Right.PUBLISH} == {"native", "kyutai", "livekit"}
    assert {kind for kind, right in rights.items() if right is Right.WATCH} == {"watch", "transcript"}


def test_whoever_publishes_has_a_door_and_nobody_else_has() -> None:
    assert all((route.door is not None) == (route.right is Right.PUBLISH) for route in ROUTES)


def test_no_two_routes_are_counted_as_one() -> None:
    assert len({route.kind for route in ROUTES}) == len({route.path for route in ROUTES}) == len(ROUTES)
