"""Room tokens: signed claims (JWT) of who may do what in which room until when. The only importer of PyJWT.

All issuers' tokens have the claims of LiveKit's access tokens
(https://docs.livekit.io/home/get-started/authentication/), so that those are good here as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import msgspec
from jwt.types import Options
from msgspec import Struct

from captions.config import ConfigError, IssuerConfig, LimitsConfig, TokensConfig
from captions.doors.grant import Grant, Right
from captions.stream.captions import Id, Label, Participant

__all__ = ["Tokens"]

_WHO = "token"
_CLOCK_SKEW_S = 60.0
"""How far the clock of an issuer may be ahead of ours, as LiveKit's server has it."""

_CHECKS: Options = {"require": ["iss", "exp"], "verify_exp": False, "verify_nbf": False, "verify_iat": False}
"""The signature, issuer and audience are PyJWT's to check; it knows no clock but the machine's, so times are ours."""

_PUBLIC_KEY_ALGORITHMS = ("RS256", "ES256", "EdDSA")


class _Video(Struct, frozen=True, rename="camel"):
    """LiveKit's grant in a room. What is not said is allowed, but `room_join` has to be said."""

    room: Id
    room_join: bool = False
    can_publish: bool = True
    can_subscribe: bool = True
    can_publish_sources: tuple[str, ...] = ()

    def rights(self) -> Right:
        rights = Right(0)
        if self.room_join and self.can_subscribe:
            rights |= Right.WATCH
        if self.room_join and self.can_publish and "microphone" in (self.can_publish_sources or ("microphone",)):
            rights |= Right.PUBLISH
        return rights


class _Claims(Struct, frozen=True):
    """`sub`: the participant's identity. `exp` and `nbf`: seconds since 1970."""

    sub: Id
    exp: float
    video: _Video
    nbf: float = 0.0
    name: Label = ""


@dataclass(frozen=True, slots=True)
class _Issuer:
    """Whose tokens are good, and the one way in which they are signed: a token never chooses."""

    name: str
    algorithm: str
    key: Any


class Tokens:
    """The configured issuers. `grant` says what a token of theirs allows.

    Raises:
        ConfigError: an issuer's public key cannot be read.
    """

    def __init__(self, config: TokensConfig, limits: LimitsConfig) -> None:
        self._limits = limits
        self._issuers = [_issuer(issuer) for issuer in config.all_issuers]

    def grant(self, token: str, now: float) -> Grant | None:
        """What a token allows, None if it is no good for whatever reason. `now`: seconds since 1970."""
        for issuer in self._issuers:
            claims = _claims(token, issuer)
            if claims is not None and claims.nbf - _CLOCK_SKEW_S <= now < claims.exp:
                return Grant(
                    _WHO,
                    claims.video.rights(),
                    room=claims.video.room,
                    speaks_as=Participant(claims.sub, claims.name),
                    ends_at=claims.exp,
                    holder=f"{issuer.name}\n{claims.video.room}\n{claims.sub}",
                    connections=self._limits.connections_per_token,
                    tracks=self._limits.tracks_per_token,
                )
        return None

    def has_issuer_of(self, grant: Grant) -> bool:
        """Whether the issuer of the token behind a grant is one of these."""
        issuer = grant.holder.partition("\n")[0]
        return grant.who == _WHO and any(issuer == known.name for known in self._issuers)


def _claims(token: str, issuer: _Issuer) -> _Claims | None:
    try:
        claims = jwt.decode(token, issuer.key, [issuer.algorithm], _CHECKS, issuer=issuer.name)
        return msgspec.convert(claims, _Claims)
    except (jwt.PyJWTError, msgspec.ValidationError, RecursionError):
        return None


def _issuer(config: IssuerConfig) -> _Issuer:
    if config.secret:
        return _Issuer(config.issuer, "HS256", config.secret)
    where = f"tokens.issuers: public_key_file {config.public_key_file}"
    try:
        pem = Path(config.public_key_file).read_bytes()
    except OSError as error:
        raise ConfigError(f"{where}: {error.strerror}") from None
    if b"PRIVATE KEY" in pem:
        raise ConfigError(f"{where}: that is a private key, which stays with the issuer; give the public one")
    for algorithm in _PUBLIC_KEY_ALGORITHMS:
        try:
            return _Issuer(config.issuer, algorithm, jwt.get_algorithm_by_name(algorithm).prepare_key(pem))
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
    raise ConfigError(f"{where}: no RSA, P-256 or Ed25519 public key in PEM form")
