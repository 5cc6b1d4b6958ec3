"""What a key grants, and where a request carries it."""

from __future__ import annotations

from hashlib import sha256

import pytest

from captions.config import Config, Key, KeysConfig
from captions.doors.grant import ANYTHING, Grant, Right
from captions.server.access import Access, key_in
from captions.stream.captions import Participant

BOTH = Right.WATCH | Right.PUBLISH
NOW = 1_700_000_000.0
HASHED = f"sha256:{sha256(b'hashed').hexdigest()}"


def granted(keys: KeysConfig, key: str) -> Grant | None:
    return Access(Config(keys=keys)).grant(key, NOW)


def test_without_keys_anybody_may_do_anything() -> None:
    assert granted(KeysConfig(), "") == ANYTHING
    assert ANYTHING.allows(BOTH, "any", "whoever")


@pytest.mark.parametrize(
    ("key", "rights"),
    [
        ("pub-1", BOTH),
        ("pub-2", BOTH),
        ("see", Right.WATCH),
        ("", None),
        ("pub", None),
        ("pub-11", None),
        ("été", None),
    ],
)
def test_a_key_grants_what_it_was_configured_for(key: str, rights: Right | None) -> None:
    grant = granted(KeysConfig(publish=("pub-1", "pub-2"), watch=("see",)), key)
    assert (grant.rights if grant is not None else None) == rights


def test_a_key_that_is_in_both_lists_may_publish() -> None:
    grant = granted(KeysConfig(publish=("k",), watch=("k",)), "k")
    assert grant is not None
    assert grant.rights == BOTH


@pytest.mark.parametrize(
    ("key", "prefix"), [("all", ""), ("team", "team-"), ("hashed", ""), ("both", "team-"), (HASHED, None), ("x", None)]
)
def test_a_key_may_be_known_by_its_digest_and_be_for_some_rooms_only(key: str, prefix: str | None) -> None:
    both = f"sha256:{sha256(b'both').hexdigest().upper()}"
    keys = KeysConfig(publish=("all", Key("team", "team-"), HASHED, Key(both, "team-")))
    grant = granted(keys, key)
    assert grant == (None if prefix is None else Grant("publisher", BOTH, prefix=prefix))


@pytest.mark.parametrize(
    ("limits", "right", "room", "allowed"),
    [
        ({}, Right.WATCH, "any", True),
        ({}, Right.WATCH, None, True),
        ({}, Right.PUBLISH, "any", False),
        ({"room": "daily"}, Right.WATCH, "daily", True),
        ({"room": "daily"}, Right.WATCH, "daily-2", False),
        ({"room": "daily"}, Right.WATCH, "", False),
        ({"room": "daily"}, Right.WATCH, None, True),
        ({"prefix": "team-"}, Right.WATCH, "team-daily", True),
        ({"prefix": "team-"}, Right.WATCH, "my-team-daily", False),
        ({"prefix": "team-"}, Right.WATCH, "", False),
        ({"prefix": "team-"}, Right.WATCH, None, True),
    ],
)
def test_a_grant_is_of_rights_in_rooms(limits: dict[str, str], right: Right, room: str | None, allowed: bool) -> None:
    assert Grant("ada", Right.WATCH, **limits).allows(right, room) == allowed  # type: ignore[arg-type]


@pytest.mark.parametrize(("participant", "allowed"), [("ada", True), (None, True), ("bob", False), ("", False)])
def test_who_is_known_speaks_as_nobody_else(participant: str | None, allowed: bool) -> None:
    grant = Grant("token", Right.PUBLISH, room="daily", speaks_as=Participant("ada", "Ada"))
    assert grant.allows(Right.PUBLISH, "daily", participant) == allowed


def test_a_grant_goes_on_under_another_of_the_same_person_in_the_same_rooms() -> None:
    ada = Grant("token", BOTH, room="daily", speaks_as=Participant("ada", "Ada"), ends_at=1.0)
    assert Grant("token", BOTH, room="daily", speaks_as=Participant("ada"), ends_at=2.0).continues(ada)
    others = [
        Grant("token", BOTH, room="weekly", speaks_as=Participant("ada")),
        Grant("token", BOTH, room="daily", speaks_as=Participant("bob")),
        Grant("publisher", BOTH, prefix="d"),
        ANYTHING,
    ]
    assert [other.continues(ada) for other in others] == [False] * 4


@pytest.mark.parametrize(
    ("headers", "query", "key"),
    [
        ({"Authorization": "Bearer abc"}, {}, "abc"),
        ({"Authorization": "bearer  abc "}, {"key": "other"}, "abc"),
        ({"Authorization": "Basic abc"}, {"key": "k"}, "k"),
        ({"kyutai-api-key": "abc"}, {"key": "k"}, "abc"),
        ({}, {"key": "k", "auth_id": "a"}, "k"),
        ({}, {"auth_id": "a"}, "a"),
        ({"Sec-WebSocket-Protocol": "captions.v1, captions.key.YWJj"}, {"key": "k"}, "abc"),
        ({"Sec-WebSocket-Protocol": "captions.key.w6k_fn5-"}, {}, "é?~~~"),
        ({"Sec-WebSocket-Protocol": "captions.v1, captions.key.YWJj", "Authorization": "Bearer h"}, {}, "h"),
        ({"Sec-WebSocket-Protocol": "captions.v1"}, {}, ""),
        ({"Sec-WebSocket-Protocol": "captions.key."}, {}, ""),
        ({"Sec-WebSocket-Protocol": "captions.key.A"}, {"key": "k"}, "k"),
        ({"Sec-WebSocket-Protocol": "captions.key._w"}, {"key": "k"}, "k"),
        ({}, {}, ""),
    ],
)
def test_a_key_comes_as_a_header_or_in_the_query(headers: dict[str, str], query: dict[str, str], key: str) -> None:
    assert key_in(headers, query) == key
