"""config.toml and the environment: any text is a configuration or a `ConfigError` of one line."""

from __future__ import annotations

import tempfile
from pathlib import Path

from captions.config import PREFIX, ConfigError, load

__all__ = ["check", "seeds"]

_FILE = Path(tempfile.mkdtemp(prefix="captions-fuzz-")) / "config.toml"
_SHIPPED = Path(__file__).parents[2] / "config.toml"


def seeds() -> list[bytes]:
    return [
        b"f" + _SHIPPED.read_bytes(),
        b'f[keys]\npublish = ["a", {key = "b", rooms = "team-"}, "sha256:' + b"0" * 64 + b'"]\nwatch = ["c"]\n',
        b'f[tokens]\nlivekit_api_key = "k"\nissuers = [{issuer = "i", secret = "s"}]\n[server]\nhost = "0.0.0.0"\n',
        b"f[limits]\nconnections = 1e9\ntracks = -1\n[vad]\nonset = nan\n[server]\nport = true\n",
        b"eSERVER_PORT=8090\nKEYS_PUBLISH=a,b\nSERVER_ORIGINS=https://meet.example.org,*",
        b"eLIMITS_TRACKS=1_000\nVAD=1\nMODEL_NAME=\n_=1",
    ]


def check(data: bytes) -> None:
    """The first byte says whether it is a file or an environment."""
    told = "no error"
    try:
        if data[:1] == b"e":
            lines = data[1:].decode(errors="replace").splitlines()
            load(None, {PREFIX + name: value for name, _, value in (line.partition("=") for line in lines)})
        else:
            _FILE.write_bytes(data[1:])
            load(_FILE)
    except ConfigError as error:
        told = str(error)
    assert told
    assert "\n" not in told
