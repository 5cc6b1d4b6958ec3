"""The configuration: config.toml, `CAPTIONS_*` in the environment and flags, to one typed, frozen object.

Later sources win: defaults, the file, the environment (`CAPTIONS_SERVER_PORT=8090`), flags. Anything unknown or wrong
is a `ConfigError` with one line that says where.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

__all__ = [
    "DIGEST",
    "ClusterConfig",
    "Config",
    "ConfigError",
    "IssuerConfig",
    "Key",
    "KeysConfig",
    "LanesConfig",
    "LimitsConfig",
    "ModelConfig",
    "Role",
    "RoomsConfig",
    "RtpConfig",
    "ServerConfig",
    "TokensConfig",
    "VadConfig",
    "is_loopback",
    "load",
]

PREFIX = "CAPTIONS_"
DIGEST = "sha256:"
"""Before the digest of a key that the configuration does not tell."""
_SECRET_BYTES = 32
"""Of HS256; RFC 7518 allows no fewer."""

Count = Annotated[int, Meta(ge=1, le=1 << 30)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Probability = Annotated[float, Meta(ge=0, le=1)]
Origin = Annotated[str, Meta(pattern=r"^(\*|https?://[^/?#@\s]+)$")]
"""As browsers say it: `https://meet.example.org`, with the port if it is not the usual one."""


class ConfigError(Exception):
    """A setting that is unknown, wrong or unsafe; the message is one line and names it."""


class _Section(Struct, frozen=True, forbid_unknown_fields=True):
    """A table of config.toml."""


class ServerConfig(_Section, frozen=True):
    """Where the server listens. `drain_s`: how long a stopping server waits for the last words. `hang_s`: a step of the
    model or a turn of the listener that takes longer never ends, and the server has failed.

    `fronts`: how many processes share the port and hear, beside one more that has the model; 0: one process does all.

    `origins`: the web pages, besides the server's own, that may watch and publish from a browser; "*" is any.
    `proxies`: the addresses of reverse proxies that are believed when they say whom they speak for (X-Forwarded-For).
    `tls_cert` and `tls_key`: PEM files, for a server that speaks TLS itself.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8_080
    drain_s: Seconds = 10.0
    hang_s: Annotated[float, Meta(ge=0.1, le=3_600)] = 10.0
    fronts: Annotated[int, Meta(ge=0, le=64)] = 0
    origins: tuple[Origin, ...] = ()
    proxies: tuple[str, ...] = ()
    tls_cert: str = ""
    tls_key: str = ""


class _SecretSection(_Section, frozen=True):
    """One that is never shown: a key must not reach a log by way of a configuration."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class Key(_SecretSection, frozen=True):
    """An API key for the rooms whose names begin with `rooms`.

    `connections` and `tracks`: how many its holder may have at once; None for all that the server has.
    """

    key: str
    rooms: str = ""
    connections: Count | None = None
    tracks: Count | None = None


class KeysConfig(_SecretSection, frozen=True):
    """API keys: `publish` keys may do everything, `watch` keys may watch.

    A key is written as it is or as `sha256:` and its digest in hexadecimal. Without any, everybody may do everything,
    so the server then listens on loopback only.
    """

    publish: tuple[str | Key, ...] = ()
    watch: tuple[str | Key, ...] = ()


class IssuerConfig(_SecretSection, frozen=True):
    """Who signs tokens, by the `iss` in them: with a `secret` (HS256), or with the private key to a public one.

    The public key is in a PEM file: RSA (RS256), P-256 (ES256) or Ed25519 (EdDSA).
    """

    issuer: Annotated[str, Meta(min_length=1)]
    secret: str = ""
    public_key_file: str = ""


class TokensConfig(_SecretSection, frozen=True):
    """Room tokens; see docs/protocol.md. With LiveKit's API key and secret its access tokens are good here."""

    livekit_api_key: str = ""
    livekit_api_secret: str = ""
    issuers: tuple[IssuerConfig, ...] = ()

    @property
    def all_issuers(self) -> tuple[IssuerConfig, ...]:
        """LiveKit, if it is set, and the others."""
        livekit = (IssuerConfig(self.livekit_api_key, self.livekit_api_secret),) if self.livekit_api_key else ()
        return livekit + self.issuers


class ModelConfig(_Section, frozen=True):
    """Which model, and how much of it.

    `name`: "auto" (Kyutai's on an NVIDIA GPU, or converted for a CPU, else Moonshine), "moonshine", "digits", a
    checkpoint's name on the model hub, or a folder. `lanes` 0: what suits the model and the machine. `dtype`: of
    Kyutai's weights, bfloat16, float16 or float32 on a GPU, int8, int4 or float32 on a CPU, or "auto".
    """

    name: Annotated[str, Meta(min_length=1)] = "auto"
    lanes: Annotated[int, Meta(ge=0, le=1_024)] = 0
    device: str = "auto"
    dtype: str = "auto"


class VadConfig(_Section, frozen=True):
    """The detector's thresholds and how long speech must rise and fall to count; see captions/vad/gate.py.

    `hangover_s` 0: what suits the model. `skip_silence`: packets that are silent by cheaper evidence are not decoded;
    see captions/vad/evidence.py.
    """

    onset: Probability = 0.5
    release: Probability = 0.35
    onset_s: Seconds = 0.064
    hangover_s: Seconds = 0.0
    skip_silence: bool = True


class LanesConfig(_Section, frozen=True):
    """How tracks share lanes: the audio kept from before an onset, and how long speech may wait for a lane."""

    preroll_s: Seconds = 0.64
    wait_s: Seconds = 6.0
    stall_s: Seconds = 6.0


class LimitsConfig(_Section, frozen=True):
    """What one connection, and all of them, may take.

    `pending_audio_s`: how much of a track's audio may wait, for the listener and for the model each, and how far a live
    track may be ahead of its time; `pending_bytes`: of all tracks together, half of it of files wherever it waits, past
    it a second each.
    `outbox_messages`, `outbox_bytes`: what may wait for a slow reader before it is dropped, and what is kept of a
    session for a client that comes back; `waiting_bytes`: of all of them together. `answer_bytes`: of plain HTTP
    answers that wait to be read. `resume_s`: how long a session waits for a client that lost its connection.
    `watchers_share`: of the connections, what watchers may take; the rest is kept for who publishes. `handshakes`:
    connections that have not asked for anything yet. `commands_per_s`: messages of one connection that are not audio,
    on average; who sends more is not read from meanwhile. `_per_token`: what one participant may have at once.
    `late_s`: a server whose event loop or hearing is as late as that lately is full, and takes no more tracks.
    """

    message_bytes: Count = 1 << 20
    connections: Count = 2_000
    connections_per_address: Count = 1_000
    connections_per_token: Count = 20
    handshakes: Count = 500
    watchers_share: Probability = 0.75
    tracks: Count = 2_000
    tracks_per_connection: Count = 500
    tracks_per_token: Count = 20
    commands_per_s: Count = 500
    watchers_per_room: Count = 1_000
    pending_audio_s: Seconds = 20.0
    pending_bytes: Count = 64 << 20
    outbox_messages: Count = 2_000
    outbox_bytes: Count = 4 << 20
    waiting_bytes: Count = 64 << 20
    answer_bytes: Count = 16 << 20
    resume_s: Seconds = 20.0
    late_s: Annotated[float, Meta(ge=0.01, le=60)] = 0.1


class RoomsConfig(_Section, frozen=True):
    """What a watcher who joins late is shown of a room, and how long a room nobody speaks in is remembered.

    `transcript_segments`: what of a room can be downloaded afterwards; 0 keeps nothing.
    """

    history_segments: Annotated[int, Meta(ge=0)] = 50
    transcript_segments: Annotated[int, Meta(ge=0)] = 20_000
    forget_after_s: Seconds = 600.0


class RtpConfig(_Section, frozen=True):
    """Plain RTP. `listen`: the UDP address, "HOST:PORT"; "" takes none.

    `announce`: the host that SFUs are told to send to; "" for that of `listen`. `forget_after_s`: a source that was not
    heard of for so long is gone.
    """

    listen: str = ""
    announce: str = ""
    forget_after_s: Seconds = 300.0


Role: TypeAlias = Literal["all", "speech", "watch"]
"""What a node does: "speech" takes audio, "watch" is a gateway without a model, for pages, watchers and transcripts."""


class ClusterConfig(_SecretSection, frozen=True):
    """What several nodes share. `redis`: its address; "" keeps the rooms in this process.

    `role`: what this node does. `address`: where clients reach it, "ws://10.0.0.7:8080"; "" is where it listens.
    `waiting_bytes`: what is kept for the other nodes while Redis is away. `room_bytes`: what a room may take in Redis.
    """

    redis: Annotated[str, Meta(pattern=r"^$|^(rediss?(\+cluster|\+sentinel)?|unix)://.+$")] = ""
    waiting_bytes: Count = 16 << 20
    room_bytes: Count = 32 << 20
    role: Role = "all"
    address: Annotated[str, Meta(pattern=r"^$|^wss?://[^/?#@\s]+$")] = ""


class Config(_Section, frozen=True):
    """Everything that can be set; each section is a table of config.toml."""

    server: ServerConfig = ServerConfig()
    keys: KeysConfig = KeysConfig()
    tokens: TokensConfig = TokensConfig()
    model: ModelConfig = ModelConfig()
    vad: VadConfig = VadConfig()
    lanes: LanesConfig = LanesConfig()
    limits: LimitsConfig = LimitsConfig()
    rooms: RoomsConfig = RoomsConfig()
    rtp: RtpConfig = RtpConfig()
    cluster: ClusterConfig = ClusterConfig()

    @property
    def is_open(self) -> bool:
        """Whether everybody may do everything: there is neither a key nor an issuer of tokens."""
        return not self.keys.publish and not self.tokens.all_issuers


def load(path: Path | None, environment: Mapping[str, str] = {}, flags: Mapping[str, Mapping[str, Any]] = {}) -> Config:
    """Read and check the configuration.

    Args:
        path: config.toml, or None for the defaults.
        environment: `CAPTIONS_SECTION_SETTING`; lists are comma-separated. Other variables are passed over.
        flags: by section and setting; None values are passed over.

    Raises:
        ConfigError: a file that cannot be read, an unknown or wrong setting, an open host without keys.
    """
    settings = _read(path) if path is not None else {}
    _overlay(settings, _from_environment(environment))
    _overlay(settings, {s: {k: v for k, v in table.items() if v is not None} for s, table in flags.items()})
    try:
        config = msgspec.convert(settings, Config, strict=False)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        raise ConfigError(f"{where.rstrip('`') or 'configuration'}: {what}") from None
    _check(config)
    return config


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None


def _from_environment(environment: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    settings: dict[str, dict[str, Any]] = {}
    for name, value in environment.items():
        if not name.startswith(PREFIX):
            continue
        section, _, setting = name.removeprefix(PREFIX).lower().partition("_")
        settings.setdefault(section, {})[setting] = _list_of(value) if (section, setting) in _LISTS else value
    return settings


_LISTS = {("keys", "publish"), ("keys", "watch"), ("server", "origins"), ("server", "proxies")}
"""What is comma-separated in the environment."""


def _list_of(value: str) -> list[str]:
    return [item.strip() for item in value.split(",") if item.strip()]


def _overlay(settings: dict[str, Any], over: Mapping[str, Mapping[str, Any]]) -> None:
    for section, table in over.items():
        if table:
            below = settings.get(section)
            settings[section] = {**(below if isinstance(below, dict) else {}), **table}


def _check(config: Config) -> None:
    for key in (*config.keys.publish, *config.keys.watch):
        _check_key(key.key if isinstance(key, Key) else key)
    _check_tokens(config)
    if config.is_open and not is_loopback(config.server.host):
        raise ConfigError(
            f"server.host: {config.server.host} can be reached from other machines; set keys.publish first"
        )
    if config.keys.watch and config.is_open:
        raise ConfigError("keys.watch: without keys.publish everybody may watch and publish; set keys.publish as well")
    if config.server.origins and config.is_open:
        raise ConfigError("server.origins: without keys only pages of this machine may watch; set keys.publish as well")
    if bool(config.server.tls_cert) != bool(config.server.tls_key):
        raise ConfigError("server: tls_cert and tls_key go together")
    if config.cluster.role == "watch" and not config.cluster.redis:
        raise ConfigError("cluster.role: a gateway has nothing to show without cluster.redis")
    if config.server.fronts and (config.cluster.role == "watch" or config.rtp.listen):
        raise ConfigError("server.fronts: neither a gateway nor a port for RTP is shared by several processes")
    if config.cluster.role == "watch" and config.rtp.listen:
        raise ConfigError("rtp.listen: a gateway hears nothing")
    if config.vad.release > config.vad.onset:
        raise ConfigError("vad.release: must not be above vad.onset")


def _check_key(key: str) -> None:
    if not key:
        raise ConfigError("keys: an empty key is no key")
    if key.startswith(DIGEST) and not re.fullmatch(r"[0-9a-fA-F]{64}", key.removeprefix(DIGEST)):
        raise ConfigError(f"keys: {DIGEST} is followed by the 64 hexadecimal digits of the key's SHA-256")


def _check_tokens(config: Config) -> None:
    tokens = config.tokens
    if bool(tokens.livekit_api_key) != bool(tokens.livekit_api_secret):
        raise ConfigError("tokens: livekit_api_key and livekit_api_secret go together")
    for issuer in tokens.all_issuers:
        if bool(issuer.secret) == bool(issuer.public_key_file):
            raise ConfigError(f"tokens.issuers: {issuer.issuer} needs either a secret or a public_key_file")
        if issuer.secret and len(issuer.secret.encode()) < _SECRET_BYTES and not is_loopback(config.server.host):
            short = f"the secret of {issuer.issuer} has under {_SECRET_BYTES} bytes"
            raise ConfigError(f"tokens: {short}; who has a token could find it out")


def is_loopback(host: str) -> bool:
    """Whether a host, by name or address, can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
