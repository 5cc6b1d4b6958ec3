"""The fuzzing targets as plain tests: where each begins, what any of them found, and a few random bytes."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import TARGETS


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest) -> ModuleType:
    return import_module(f"tests.fuzz.{request.param}")


def test_a_target_holds_where_it_begins(target: ModuleType) -> None:
    for seed in target.seeds():
        target.check(seed)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=50, deadline=None)
@given(data=st.binary(max_size=200))
def test_a_target_holds_for_any_bytes(name: str, data: bytes) -> None:
    import_module(f"tests.fuzz.{name}").check(data)


@pytest.mark.filterwarnings("error")
def test_samples_too_large_for_their_width_are_refused_without_a_warning() -> None:
    kyutai = import_module("tests.fuzz.kyutai")
    for audio in ([1e300], [1e300, 0]):
        kyutai.check(kyutai._encode({"type": "Audio", "pcm": audio}))


@pytest.mark.filterwarnings("error")
def test_no_number_is_refused_without_a_warning() -> None:
    kyutai = import_module("tests.fuzz.kyutai")
    signalling = bytes.fromhex("7ff0000000000001")
    kyutai.check(b"\x82\xa4type\xa5Audio\xa3pcm\x91\xcb" + signalling)


def test_a_key_that_is_no_text_is_passed_over_where_nobody_asks_for_it() -> None:
    kyutai = import_module("tests.fuzz.kyutai")
    kyutai.check(b"\x83\xa4type\xa5Audio\xa3]cm\x82\xa4type\xa5Au\xdcdi\x00o\xa3pcm\x91\x00")
