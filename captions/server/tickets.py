"""Keys sealed into tickets: an address that is made for a client may carry one without telling the key to its logs."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256

import msgspec
from cryptography.fernet import Fernet, InvalidToken

from captions.config import Config

__all__ = ["Tickets"]

_GOOD_FOR_S = 10_800
"""As long as a session of those clients lasts that are given one, who come back by the same address."""


class Tickets:
    """`seal` a key for some time, `open` it again: here, or wherever the same keys and issuers are configured.

    A ticket that somebody makes up gets them nowhere: what is in it is still asked whether it is good.
    """

    def __init__(self, config: Config) -> None:
        secrets = msgspec.json.encode((config.keys, config.tokens))
        self._fernet = Fernet(urlsafe_b64encode(sha256(b"captions tickets\n" + secrets).digest()))

    def seal(self, key: str, now: float) -> str:
        """`now`: seconds since 1970."""
        return self._fernet.encrypt_at_time(key.encode(), int(now)).decode()

    def open(self, ticket: str, now: float) -> str:
        """The key; "" for what is no ticket, or is too old."""
        try:
            return self._fernet.decrypt_at_time(ticket.encode(), _GOOD_FOR_S, int(now)).decode()
        except (InvalidToken, UnicodeError):
            return ""
