"""Tokens as strangers write them: none of them grants anything, and none of them is an error of ours."""

from __future__ import annotations

import jwt

from captions.config import IssuerConfig, LimitsConfig, TokensConfig
from captions.doors.grant import Right
from captions.server.tokens import Tokens

__all__ = ["check", "seeds"]

_SECRET = "a secret of this target's own, which is long enough"
_NOW = 1_000.0
_tokens = Tokens(TokensConfig(issuers=(IssuerConfig("meet", _SECRET),)), LimitsConfig())


def seeds() -> list[bytes]:
    claims = {"iss": "meet", "sub": "p", "exp": 2_000, "video": {"room": "daily", "roomJoin": True}}
    signed = [
        jwt.encode(claims, _SECRET, "HS256"),
        jwt.encode(claims, "another secret, which is as long as HS512 wants it: 64 bytes, at least", "HS512"),
    ]
    unsigned = jwt.encode(claims, "", "none")
    return [b"t" + token.encode() for token in (*signed, unsigned)] + [
        b"c" + text
        for text in (
            b'{"iss":"meet","sub":"p","exp":2e3,"video":{"room":"r"}}',
            b'{"exp":NaN}',
            b"[[[[",
            b'{"nbf":"x"}',
        )
    ]


def check(data: bytes) -> None:
    """The first byte says whether it is a token, or what is signed in one."""
    if data[:1] == b"c":
        payload = jwt.PyJWS().encode(data[1:], _SECRET, "HS256")
        grant = _tokens.grant(payload, _NOW)
        if grant is not None:
            assert grant.ends_at is not None
            assert grant.ends_at > _NOW
            assert grant.speaks_as is not None
            assert grant.room is not None
            assert not grant.allows(Right.PUBLISH, grant.room + "x")
        return
    token = data[1:].decode(errors="replace")
    grant = _tokens.grant(token, _NOW)
    assert grant is None or token.split(".")[:2] == seeds()[0][1:].decode().split(".")[:2]
