"""config.toml, the environment and flags to one typed, frozen object."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import pytest

from captions.config import Config, ConfigError, Key, load

COMMITTED = Path(__file__).parents[1] / "config.toml"


def from_text(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def refusal(
    path: Path | None = None,
    environment: Mapping[str, str] = MappingProxyType({}),
    flags: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> str:
    with pytest.raises(ConfigError) as refused:
        load(path, environment, flags)
    return str(refused.value)


def test_the_committed_file_is_the_defaults() -> None:
    assert load(COMMITTED) == load(None) == Config()


def test_the_committed_file_shows_every_setting() -> None:
    shown = {section: list(table) for section, table in tomllib.loads(COMMITTED.read_text(encoding="utf-8")).items()}
    known = {
        section.name: [setting.name for setting in msgspec.structs.fields(section.type)]
        for section in msgspec.structs.fields(Config)
    }
    assert shown == known


def test_a_config_is_frozen() -> None:
    config = load(None)
    with pytest.raises((AttributeError, FrozenInstanceError)):
        config.server.port = 1  # type: ignore[misc]


def test_the_file_overrides_the_defaults(tmp_path: Path) -> None:
    config = from_text(tmp_path, '[server]\nport = 9000\n[keys]\npublish = ["a", "b"]\n[vad]\nonset = 0.6\n')
    assert (config.server.port, config.keys.publish, config.vad.onset, config.vad.release) == (
        9_000,
        ("a", "b"),
        0.6,
        0.35,
    )


def test_the_environment_overrides_the_file_and_flags_override_both(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[server]\nport = 1\ndrain_s = 1\n[model]\nlanes = 1\n", encoding="utf-8")
    environment = {"CAPTIONS_SERVER_PORT": "2", "CAPTIONS_MODEL_LANES": "2", "PATH": "/bin", "CAPTION_X": "1"}
    config = load(path, environment, {"model": {"lanes": 3, "name": None}})
    assert (config.server.drain_s, config.server.port, config.model.lanes, config.model.name) == (1.0, 2, 3, "auto")


@pytest.mark.parametrize(
    ("name", "value", "section", "setting", "expected"),
    [
        ("CAPTIONS_SERVER_PORT", "8090", "server", "port", 8_090),
        ("CAPTIONS_SERVER_DRAIN_S", "2.5", "server", "drain_s", 2.5),
        ("CAPTIONS_MODEL_NAME", "moonshine", "model", "name", "moonshine"),
        ("CAPTIONS_KEYS_PUBLISH", "a, b,,c", "keys", "publish", ("a", "b", "c")),
        ("CAPTIONS_KEYS_WATCH", "", "keys", "watch", ()),
        ("CAPTIONS_VAD_SKIP_SILENCE", "false", "vad", "skip_silence", False),
        ("CAPTIONS_LIMITS_TRACKS_PER_CONNECTION", "3", "limits", "tracks_per_connection", 3),
    ],
)
def test_the_environment_sets_every_kind_of_setting(
    name: str, value: str, section: str, setting: str, expected: object
) -> None:
    assert getattr(getattr(load(None, {name: value}), section), setting) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[tokens]\nlivekit_api_key = "k"\n', "tokens"),
        ('[keys]\npublish = ["sha256:s3cret"]\n', "keys: sha256: is followed by"),
        ('[keys]\npublish = [{key = "s3cret", room = "r"}]\n', "keys.publish"),
        ('[keys]\npublish = [{key = ""}]\n', "keys"),
        ('[keys]\npublish = [["s3cret"]]\n', "keys.publish"),
        ('[keys]\npublish = ["s3cret"\n', "config.toml"),
        ('[tokens]\nissuers = [{issuer = "i", secrt = "s3cret"}]\n', "tokens.issuers"),
        ('[tokens]\nlivekit_api_secret = ["s3cret"]\n', "tokens.livekit_api_secret"),
        ('[tokens]\nissuers = [{issuer = "i"}]\n', "tokens.issuers: i needs"),
        ('[tokens]\nissuers = [{issuer = "i", secret = "s", public_key_file = "f"}]\n', "tokens.issuers: i needs"),
        ('[tokens]\nissuers = [{issuer = "", secret = "s"}]\n', "tokens.issuers"),
        ("[srever]\nport = 1\n", "srever"),
        ("[server]\nprot = 1\n", "prot"),
        ('[server]\nport = "many"\n', "server.port"),
        ("[server]\nport = 65536\n", "server.port"),
        ("[server]\nport = -1\n", "server.port"),
        ("[server]\nhost = 5\n", "server.host"),
        ("[server]\ndrain_s = -1\n", "server.drain_s"),
        ("[server]\ndrain_s = nan\n", "server.drain_s"),
        ("[limits]\npending_audio_s = inf\n", "limits.pending_audio_s"),
        ("[lanes]\nwait_s = inf\n", "lanes.wait_s"),
        ("[vad]\nonset = 1.5\n", "vad.onset"),
        ("[vad]\nonset = 0.3\n", "vad.release"),
        ('[vad]\nskip_silence = "perhaps"\n', "vad.skip_silence"),
        ("[limits]\nmessage_bytes = 0\n", "limits.message_bytes"),
        ("[rooms]\nhistory_segments = -1\n", "rooms.history_segments"),
        ('[cluster]\nredis = "http://user:s3cret@host"\n', "cluster.redis"),
        ('[model]\nname = ""\n', "model.name"),
        ('[keys]\npublish = "secret"\n', "keys.publish"),
        ('[keys]\npublish = [""]\n', "keys"),
        ("server = 5\n", "server"),
        ("[server\n", "config.toml"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    message = refusal(path)
    assert said in message
    assert "\n" not in message
    assert "s3cret" not in message


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("CAPTIONS_SERVER_PROT", "prot"),
        ("CAPTIONS_SREVER_PORT", "srever"),
        ("CAPTIONS_PORT", "port"),
        ("CAPTIONS_", "configuration"),
    ],
)
def test_an_unknown_variable_is_one_line_that_names_it(name: str, said: str) -> None:
    message = refusal(environment={name: "1"})
    assert said in message
    assert "\n" not in message


def test_a_wrong_flag_is_one_line_that_names_it() -> None:
    assert "server.port" in refusal(flags={"server": {"port": 70_000}})


def test_a_file_that_is_not_there_or_no_text_is_one_line_that_names_it(tmp_path: Path) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    assert refusal(tmp_path / "missing.toml") == f"{tmp_path / 'missing.toml'}: No such file or directory"
    assert refusal(binary).startswith(f"{binary}: ")
    assert refusal(tmp_path) == f"{tmp_path}: Is a directory"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "captions.example.org", ""])
def test_a_host_others_can_reach_needs_keys(host: str) -> None:
    message = refusal(flags={"server": {"host": host}})
    assert message.startswith("server.host: ")
    assert "keys.publish" in message
    assert refusal(flags={"server": {"host": host}, "keys": {"watch": ["w"]}}) == message
    assert load(None, {}, {"server": {"host": host}, "keys": {"publish": ["p"]}}).server.host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_none(host: str) -> None:
    assert load(None, {}, {"server": {"host": host}}).keys.publish == ()


def test_watch_keys_alone_would_open_everything_so_they_are_refused() -> None:
    assert refusal(flags={"keys": {"watch": ["w"]}}).startswith("keys.watch: without keys.publish ")
    assert load(None, {}, {"keys": {"publish": ["p"], "watch": ["w"]}}).keys.watch == ("w",)


def test_origins_are_those_of_pages_and_need_keys() -> None:
    origins = ["https://meet.example.org", "http://localhost:3000", "*"]
    given = {"server": {"origins": origins}}
    assert refusal(flags=given).startswith("server.origins: without keys ")
    assert load(None, {}, given | {"keys": {"publish": ["p"]}}).server.origins == tuple(origins)
    environment = {"CAPTIONS_SERVER_ORIGINS": "https://a.example, https://b.example", "CAPTIONS_KEYS_PUBLISH": "p"}
    assert load(None, environment).server.origins == ("https://a.example", "https://b.example")


@pytest.mark.parametrize("origin", ["meet.example.org", "https://meet.example.org/", "https://", "", "ftp://x", "null"])
def test_what_is_no_origin_is_refused_by_name(origin: str) -> None:
    assert "server.origins" in refusal(flags={"server": {"origins": [origin]}, "keys": {"publish": ["p"]}})


def test_a_server_with_an_issuer_of_tokens_is_not_open() -> None:
    environment = {"CAPTIONS_TOKENS_LIVEKIT_API_KEY": "k", "CAPTIONS_TOKENS_LIVEKIT_API_SECRET": "s" * 32}
    config = load(None, environment, {"server": {"host": "0.0.0.0"}, "keys": {"watch": ["w"]}})
    assert not config.is_open
    assert load(None).is_open


def test_a_secret_that_can_be_guessed_is_for_trying_things_out_on_ones_own_machine() -> None:
    tokens = {"livekit_api_key": "devkey", "livekit_api_secret": "a short secret"}
    assert not load(None, {}, {"tokens": tokens}).is_open
    message = refusal(flags={"tokens": tokens, "server": {"host": "0.0.0.0"}})
    assert message.startswith("tokens: the secret of devkey has under 32 bytes")
    assert "a short secret" not in message


def test_keys_may_be_for_some_rooms(tmp_path: Path) -> None:
    config = from_text(tmp_path, '[keys]\npublish = ["k", {key = "t", rooms = "team-"}]\n')
    assert config.keys.publish == ("k", Key("t", "team-"))


def test_what_only_one_process_can_have_is_not_shared_by_fronts() -> None:
    message = "server.fronts: neither a gateway nor a port for RTP is shared by several processes"
    fronts = {"fronts": 2}
    assert refusal(flags={"server": fronts, "rtp": {"listen": "127.0.0.1:5004"}}) == message
    gateway = {"role": "watch", "redis": "redis://127.0.0.1"}
    assert refusal(flags={"server": fronts, "cluster": gateway}) == message
    assert load(None, {}, {"server": fronts}).server.fronts == 2
