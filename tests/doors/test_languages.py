"""Whether a server hears the language that a client asks for."""

from __future__ import annotations

import pytest

from captions.doors.languages import hears, unheard_text


@pytest.mark.parametrize("wanted", [None, "", "fr", "FR", "fr-CA", "fr_FR", "multi", "auto", "und"])
def test_a_language_is_heard_by_its_primary_subtag(wanted: str | None) -> None:
    assert hears(("en", "fr"), wanted)


@pytest.mark.parametrize("wanted", ["de", "de-CH", "f", "french"])
def test_any_other_language_is_not(wanted: str) -> None:
    assert not hears(("en", "fr"), wanted)


def test_a_model_of_no_certain_language_hears_every_one() -> None:
    assert hears(("und",), "de")


def test_a_client_is_told_what_is_heard() -> None:
    assert unheard_text(("en", "fr")) == "this server hears en, fr only"
