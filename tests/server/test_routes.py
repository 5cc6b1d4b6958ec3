"""The route table: which path is whose, and who is admitted."""

from __future__ import annotations

import pytest

from captions.doors.grant import Right
from captions.server.routes import ROUTES, Asked, match


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
        ("/v2/live", "gladia", {}),
    ],
)
def test_a_path_has_its_route_and_names_its_parts(path: str, kind: str, parts: dict[str, str]) -> None:
    found = match(path)
    assert found is not None
    assert (found.route.kind, found.parts) == (kind, parts)


@pytest.mark.parametrize(
    ("path", "query", "asked"),
    [
        ("/v1/stream", {"room": "r"}, Asked(None)),
        ("/v1/rooms/daily/captions", {"room": "r"}, Asked("daily")),
        ("/v1/rooms/daily/transcript.vtt", {}, Asked("daily")),
        ("/api/asr-streaming", {}, Asked("")),
        ("/api/asr-streaming", {"room": "r", "participant": "p"}, Asked("r", "p")),
        ("/v1/livekit", {"room": "r", "track": "t"}, Asked("r")),
        ("/v1/livekit", {"room": "r", "track": "t", "participant": "p"}, Asked("r", "p")),
    ],
)
def test_a_request_asks_for_a_room_in_its_path_or_its_query(path: str, query: dict[str, str], asked: Asked) -> None:
    found = match(path)
    assert found is not None
    assert found.asked(query) == asked


def test_a_request_that_does_not_say_what_is_needed_is_refused() -> None:
    found = match("/v1/livekit")
    assert found is not None
    with pytest.raises(ValueError, match="room"):
        found.asked({"track": "t"})


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
    assert {kind for kind, right in rights.items() if right is Right.PUBLISH} == {
        "native",
        "deepgram",
        "gladia",
        "gladia_session",
        "jitsi",
        "kyutai",
        "livekit",
        "nodes",
        "openai",
        "rooms",
        "rtp",
        "rtp_source",
        "vosk",
    }
    assert {kind for kind, right in rights.items() if right is Right.WATCH} == {"watch", "transcript"}


def test_whoever_publishes_has_a_door_and_nobody_else_has() -> None:
    """Who may publish may also ask where."""
    publishing = [
        route
        for route in ROUTES
        if route.right is Right.PUBLISH and route.method == "GET" and route.kind not in ("nodes", "rooms")
    ]
    assert [route for route in ROUTES if route.door is not None] == publishing


def test_audio_goes_to_nodes_with_a_model_and_readers_to_gateways() -> None:
    served = {role: {route.kind for route in ROUTES if route.is_for(role)} for role in ("all", "speech", "watch")}
    assert served["all"] == {route.kind for route in ROUTES}
    assert served["all"] - served["speech"] == {"watch", "transcript"}
    doors = {"native", "deepgram", "gladia", "jitsi", "kyutai", "livekit", "openai", "rtp", "vosk"}
    doors |= {"gladia_session", "rtp_source"}
    assert served["all"] - served["watch"] == doors | {"modules_info"}


def test_no_two_routes_are_counted_as_one() -> None:
    asked = {(route.method, route.path) for route in ROUTES}
    assert len({route.kind for route in ROUTES}) == len(asked) == len(ROUTES)
