"""Tickets: a key comes out of one again, for a while, where the same keys are configured, and nowhere else."""

from __future__ import annotations

from captions.config import load
from captions.server.tickets import Tickets

NOW = 1_700_000_000.0
CONFIG = load(None, {}, {"keys": {"publish": ("secret",)}, "limits": {"tracks": 5}})
OF_ANOTHER_NODE = load(None, {}, {"keys": {"publish": ("secret",)}, "server": {"port": 1}})
OTHER_KEYS = load(None, {}, {"keys": {"publish": ("secret", "another")}})


def test_a_key_comes_out_again_wherever_the_same_keys_are_configured() -> None:
    ticket = Tickets(CONFIG).seal("secret", NOW)
    assert "secret" not in ticket
    assert Tickets(OF_ANOTHER_NODE).open(ticket, NOW + 10_000) == "secret"


def test_it_is_good_for_three_hours_and_with_those_keys_only() -> None:
    ticket = Tickets(CONFIG).seal("secret", NOW)
    assert Tickets(CONFIG).open(ticket, NOW + 10_801) == ""
    assert Tickets(OTHER_KEYS).open(ticket, NOW) == ""


def test_what_is_no_ticket_holds_no_key() -> None:
    for made_up in ("", "secret", "é", Tickets(CONFIG).seal("secret", NOW)[:-3]):
        assert Tickets(CONFIG).open(made_up, NOW) == ""
