"""Who may do what: the key or token that a request carries, and what it grants."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256

from captions.config import DIGEST, Config, Key
from captions.doors.grant import ANYTHING, NOTHING, Grant, Right
from captions.server.tokens import Tokens

__all__ = ["Access", "key_in"]

_KEY_PROTOCOL = "captions.key."
_OPENAI_KEY_PROTOCOL = "openai-insecure-api-key."
_PUBLISHER = Grant("publisher", Right.WATCH | Right.PUBLISH)
_WATCHER = Grant("watcher", Right.WATCH)


class Access:
    """The configured keys and the issuers of tokens. Without any, everybody may do everything.

    The server then listens on loopback only.
    """

    def __init__(self, config: Config) -> None:
        self._open = config.is_open
        self._tokens = Tokens(config.tokens, config.limits)
        self._grants = [_known(key, _PUBLISHER) for key in config.keys.publish]
        self._grants += [_known(key, _WATCHER) for key in config.keys.watch]

    def grant(self, key: str, now: float) -> Grant | None:
        """What a key or a token grants, None for nothing. `now`: seconds since 1970.

        Takes as long for a key that is nearly right as for any other.
        """
        if self._open:
            return ANYTHING
        given, found = _digest(key), None
        for known, grant in self._grants:
            if hmac.compare_digest(given, known) and found is None:
                found = grant
        return found or self._tokens.grant(key, now)

    def still_grants(self, grant: Grant) -> bool:
        """Whether what was granted before the configuration was read anew would be granted again.

        Of a token only its issuer is known any more.
        """
        if grant in (ANYTHING, NOTHING):
            return self._open or grant == NOTHING
        known = any(digest.hex() == grant.holder and now == grant for digest, now in self._grants)
        return known or self._tokens.has_issuer_of(grant)


def key_in(headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    """The key or token a request carries: as a bearer token, or where headers cannot be set (browsers) in another way.

    That is a subprotocol, which is in no address that somebody could log, or the query. Clients of other services say
    it in their own way: Deepgram's call the scheme Token, OpenAI's have another subprotocol, Kyutai's a header and a
    parameter, Gladia's a header.
    """
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    if scheme.lower() in ("bearer", "token"):
        return token.strip()
    offered = _key_offered(headers.get("Sec-WebSocket-Protocol", ""))
    its_own = headers.get("kyutai-api-key") or headers.get("x-gladia-key")
    return its_own or offered or query.get("key") or query.get("auth_id") or ""


def _key_offered(subprotocols: str) -> str:
    """The key among the subprotocols a browser offers: `captions.key.` and it in base64url, or as OpenAI has it."""
    for name in map(str.strip, subprotocols.split(",")):
        if name.startswith(_OPENAI_KEY_PROTOCOL):
            return name.removeprefix(_OPENAI_KEY_PROTOCOL)
        _, found, encoded = name.partition(_KEY_PROTOCOL)
        if found:
            with suppress(ValueError):
                return urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    return ""


def _known(key: str | Key, grant: Grant) -> tuple[bytes, Grant]:
    """The SHA-256 of a configured key, and what the key grants."""
    if isinstance(key, Key):
        return _known(key.key, replace(grant, prefix=key.rooms, connections=key.connections, tracks=key.tracks))
    digest = bytes.fromhex(key.removeprefix(DIGEST)) if key.startswith(DIGEST) else _digest(key)
    return digest, replace(grant, holder=digest.hex())


def _digest(key: str) -> bytes:
    return sha256(key.encode()).digest()
