"""What a key grants, and where a request carries it."""

from __future__ import annotations

import pytest

from captions.config import KeysConfig
from captions.server.access import Access, Grant, Right, key_in

BOTH = Right.WATCH | Right.PUBLISH


def test_without_keys_anybody_may_do_anything() -> None:
    assert Access(KeysConfig()).grant("") == Grant("anybody", None, BOTH)


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
    grant = Access(KeysConfig(publish=("pub-1", "pub-2"), watch=("see",))).grant(key)
    assert (grant.rights if grant is not None else None) == rights


def test_a_key_that_is_in_both_lists_may_publish() -> None:
    grant = Access(KeysConfig(publish=("k",), watch=("k",))).grant("k")
    assert grant is not None
    assert grant.rights == BOTH


@pytest.mark.parametrize(
    ("rooms", "right", "room", "allowed"),
    [
        (None, Right.WATCH, "any", True),
        (None, Right.WATCH, None, True),
        (None, Right.PUBLISH, "any", False),
        (frozenset({"daily"}), Right.WATCH, "daily", True),
        (frozenset({"daily"}), Right.WATCH, "weekly", False),
        (frozenset({"daily"}), Right.WATCH, None, False),
    ],
)
def test_a_grant_is_of_rights_in_rooms(
    rooms: frozenset[str] | None, right: Right, room: str | None, allowed: bool
) -> None:
    assert Grant("ada", rooms, Right.WATCH).allows(right, room) == allowed


@pytest.mark.parametrize(
    ("headers", "query", "key"),
    [
        ({"Authorization": "Bearer abc"}, {}, "abc"),
        ({"Authorization": "bearer  abc "}, {"key": "other"}, "abc"),
        ({"Authorization": "Basic abc"}, {"key": "k"}, "k"),
        ({"kyutai-api-key": "abc"}, {"key": "k"}, "abc"),
        ({}, {"key": "k", "auth_id": "a"}, "k"),
        ({}, {"auth_id": "a"}, "a"),
        ({}, {}, ""),
    ],
)
def test_a_key_comes_as_a_header_or_in_the_query(headers: dict[str, str], query: dict[str, str], key: str) -> None:
    assert key_in(headers, query) == key
