"""Room tokens: LiveKit's as its own library makes them, others by a secret or a public key, and what is no good."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import subprocess
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

import jwt
import pytest
from livekit.api import AccessToken, VideoGrants
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.protocol import State

from captions.config import ConfigError, IssuerConfig, LimitsConfig, TokensConfig
from captions.doors.grant import Grant, Right
from captions.doors.native.messages import Error, Participant, Ready, Resume, Segment, Start, Started, Stop, Stopped
from captions.server.tokens import Tokens
from tests.server.harness import PATIENCE_S, serving, started
from tests.speech import saying

NOW = 1_700_000_000.0
KEY, SECRET = "APIkeyOfLivekit", "a secret of LiveKit, 32 bytes or more"
LIVEKIT = TokensConfig(livekit_api_key=KEY, livekit_api_secret=SECRET)
LIMITS = LimitsConfig()
BOTH = Right.WATCH | Right.PUBLISH
IN_DAILY: Mapping[str, object] = MappingProxyType({"roomJoin": True, "room": "daily"})


def claims(video: Mapping[str, object] = IN_DAILY, **others: object) -> dict[str, object]:
    made = {"iss": KEY, "sub": "ada", "name": "Ada", "nbf": NOW, "exp": NOW + 3_600, "video": dict(video)} | others
    return {name: value for name, value in made.items() if value is not None}


def signed(said: Mapping[str, object], secret: str = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(dict(said), secret, algorithm)


def rights(token: str, config: TokensConfig = LIVEKIT, now: float = NOW) -> Right | None:
    grant = Tokens(config, LIMITS).grant(token, now)
    return None if grant is None else grant.rights


def test_a_token_says_who_which_room_what_and_until_when() -> None:
    ada = Participant("ada", "Ada")
    assert Tokens(LIVEKIT, LIMITS).grant(signed(claims()), NOW) == Grant(
        "token", BOTH, room="daily", speaks_as=ada, ends_at=NOW + 3_600, connections=20, tracks=20
    )


def test_a_participants_tokens_are_counted_as_one_holders() -> None:
    tokens = Tokens(LIVEKIT, LIMITS)
    two = [tokens.grant(signed(claims(exp=NOW + ends_in)), NOW) for ends_in in (60, 3_600)]
    other = tokens.grant(signed(claims(sub="bob")), NOW)
    assert len({grant.holder for grant in two if grant is not None}) == 1
    assert other is not None
    assert other.holder not in {grant.holder for grant in two if grant is not None}


@pytest.mark.parametrize(
    ("video", "granted"),
    [
        ({}, BOTH),
        ({"canPublish": False}, Right.WATCH),
        ({"canSubscribe": False}, Right.PUBLISH),
        ({"canPublish": False, "canSubscribe": False}, Right(0)),
        ({"canPublishSources": ["microphone", "camera"]}, BOTH),
        ({"canPublishSources": ["camera"]}, Right.WATCH),
        ({"canPublishSources": []}, BOTH),
        ({"roomJoin": False}, Right(0)),
        ({"hidden": True, "roomAdmin": True}, BOTH),
    ],
)
def test_what_livekit_allows_in_the_room_is_allowed_here(video: dict[str, object], granted: Right) -> None:
    assert rights(signed(claims({**IN_DAILY, **video}))) == granted


@pytest.mark.parametrize(
    ("grants", "granted"),
    [
        (VideoGrants(room_join=True, room="daily"), BOTH),
        (VideoGrants(room_join=True, room="daily", can_publish=False), Right.WATCH),
        (VideoGrants(room_join=True, room="daily", can_publish_sources=["camera"]), Right.WATCH),
        (VideoGrants(room_create=True, room="daily"), Right(0)),
        (VideoGrants(room_list=True), None),
    ],
)
def test_what_livekits_own_library_signs(grants: VideoGrants, granted: Right | None) -> None:
    token = AccessToken(KEY, SECRET).with_identity("ada").with_grants(grants).with_ttl(timedelta(hours=1)).to_jwt()
    made_at = jwt.decode(token, SECRET, ["HS256"])["nbf"]
    assert rights(token, now=made_at) == granted


def unsigned(header: Mapping[str, object], said: Mapping[str, object]) -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, said)]
    return ".".join([*parts, ""])


def hmac_signed(said: Mapping[str, object], secret: bytes) -> str:
    """What PyJWT itself refuses to sign."""
    token = unsigned({"alg": "HS256", "typ": "JWT"}, said)
    digest = hmac.digest(secret, token.rstrip(".").encode(), hashlib.sha256)
    return token + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def too_deep() -> str:
    return base64.urlsafe_b64encode(b"[" * 5_000).rstrip(b"=").decode() + ".e30."


NO_GOOD: dict[str, Callable[[], str]] = {
    "nothing": lambda: "",
    "no token": lambda: "abc",
    "dots": lambda: "..",
    "not ASCII": lambda: "é.é.é",
    "too deep": too_deep,
    "another secret": lambda: signed(claims(), "another secret of more than 32 bytes"),
    "an empty secret": lambda: hmac_signed(claims(), b""),
    "HS512": lambda: signed(claims(), SECRET * 2, "HS512"),
    "none": lambda: unsigned({"alg": "none", "typ": "JWT"}, claims()),
    "None": lambda: unsigned({"alg": "None"}, claims()),
    "no algorithm": lambda: unsigned({}, claims()),
    "HS256 without a signature": lambda: unsigned({"alg": "HS256"}, claims()),
    "cut": lambda: signed(claims())[:-1],
    "the key for the secret": lambda: hmac_signed(claims(), KEY.encode()),
    "another issuer": lambda: signed(claims(iss="APIother")),
    "no issuer": lambda: signed(claims(iss=None)),
    "for somebody else": lambda: signed(claims(aud="https://mail.example")),
    "without an end": lambda: signed(claims(exp=None)),
    "an end that is no number": lambda: signed(claims(exp="tomorrow")),
    "an end that is not a number": lambda: signed(claims(exp=float("nan"))),
    "ended": lambda: signed(claims(exp=NOW)),
    "not yet valid": lambda: signed(claims(nbf=NOW + 61)),
    "nobody": lambda: signed(claims(sub=None)),
    "nobody with a name": lambda: signed(claims(sub="")),
    "a newline in the identity": lambda: signed(claims(sub="ada\nbob")),
    "no grant": lambda: signed(claims() | {"video": None}),
    "no room": lambda: signed(claims({"roomJoin": True})),
    "a room without a name": lambda: signed(claims({"roomJoin": True, "room": ""})),
    "a room that is no text": lambda: signed(claims({"roomJoin": True, "room": ["daily"]})),
}


@pytest.mark.parametrize("name", NO_GOOD)
def test_what_is_no_good_grants_nothing(name: str) -> None:
    assert rights(NO_GOOD[name]()) is None


def test_the_clock_of_an_issuer_may_be_a_little_ahead_but_an_end_is_an_end() -> None:
    token = signed(claims(nbf=NOW + 60))
    assert rights(token, now=NOW) == BOTH
    assert rights(token, now=NOW + 3_599.9) == BOTH
    assert rights(token, now=NOW + 3_600) is None


def test_each_issuers_secret_is_good_for_its_own_tokens_only() -> None:
    other = IssuerConfig("https://meet.example.org", "a secret of somebody else, 32 bytes")
    config = TokensConfig(KEY, SECRET, (other,))
    assert rights(signed(claims(iss=other.issuer), other.secret), config) == BOTH
    assert rights(signed(claims()), config) == BOTH
    assert rights(signed(claims(iss=other.issuer)), config) is None
    assert rights(signed(claims(), other.secret), config) is None


def test_an_issuer_may_change_its_secret_while_the_old_tokens_last() -> None:
    new = "a new secret of LiveKit, 32 bytes or more"
    config = TokensConfig(KEY, SECRET, (IssuerConfig(KEY, new),))
    assert [rights(signed(claims(), secret), config) for secret in (SECRET, new)] == [BOTH, BOTH]


KINDS = {
    "RS256": ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "ES256": ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "EdDSA": ["genpkey", "-algorithm", "ED25519"],
}


def key_pair(folder: Path, kind: str) -> tuple[str, Path]:
    """A private key as PEM, and the file of its public one."""
    private = subprocess.run(["openssl", *KINDS[kind]], capture_output=True, check=True, text=True).stdout
    public = folder / f"{kind}.pem"
    subprocess.run(["openssl", "pkey", "-pubout", "-out", public], input=private, check=True, text=True)
    return private, public


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_signed_by_the_private_key_to_a_public_one(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    other, _ = key_pair(tmp_path, kind)
    private, public = key_pair(tmp_path, kind)
    config = TokensConfig(issuers=(IssuerConfig(KEY, public_key_file=str(public)),))
    assert rights(signed(claims(), private, kind), config) == BOTH
    assert rights(signed(claims(), other, kind), config) is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_public_key_is_no_secret_to_sign_with(kind: str, tmp_path: Path) -> None:
    """The classic confusion: everybody has the public key, and HS256 would take any bytes for its secret."""
    pytest.importorskip("cryptography")
    _, public = key_pair(tmp_path, kind)
    config = TokensConfig(issuers=(IssuerConfig(KEY, public_key_file=str(public)),))
    assert rights(hmac_signed(claims(), public.read_bytes()), config) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file"), (b"no key", "no RSA"), (b"\xff", "no RSA"), (b"-----BEGIN PRIVATE KEY-----", "private")],
)
def test_a_file_that_is_no_public_key_is_refused_by_name(tmp_path: Path, content: bytes | None, said: str) -> None:
    pytest.importorskip("cryptography")
    file = tmp_path / "issuer.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=said) as refused:
        Tokens(TokensConfig(issuers=(IssuerConfig(KEY, public_key_file=str(file)),)), LIMITS)
    assert str(file) in str(refused.value)


def in_room(room: str = "daily", **others: object) -> dict[str, object]:
    return claims({"roomJoin": True, "room": room}, **others)


def bearer(**others: object) -> dict[str, str]:
    return {"Authorization": f"Bearer {signed(in_room(**others))}"}  # type: ignore[arg-type]


TOKENS = {"livekit_api_key": KEY, "livekit_api_secret": SECRET}


async def refusal(url: str, headers: dict[str, str]) -> tuple[int, bytes] | None:
    """Status and text that a WebSocket is refused with, None if it is let in."""
    try:
        async with connect(url, additional_headers=headers, proxy=None):
            return None
    except InvalidStatus as error:
        return error.response.status_code, bytes(error.response.body)


async def test_a_token_opens_its_room_for_watching_and_no_other() -> None:
    async with serving(tokens=TOKENS, wall_clock=lambda: NOW) as served:
        watching = f"{served.url}/v1/rooms/daily/captions"
        assert await refusal(watching, bearer()) is None
        assert await refusal(f"{watching}?key={signed(in_room())}", {}) is None
        assert (await served.get("/v1/rooms/daily/transcript.txt", bearer()))[0] == 200
        assert (await served.get("/v1/rooms/daily2/transcript.txt", bearer()))[0] == 401
        refused = [
            await refusal(watching, {}),
            await refusal(watching, bearer(room="weekly")),
            await refusal(watching, bearer(exp=NOW - 1)),
            await refusal(watching, bearer(nbf=NOW + 100)),
            await refusal(watching, {"Authorization": f"Bearer {signed(in_room(), 'x' * 32)}"}),
            await refusal(watching, {"Authorization": f"Bearer {unsigned({'alg': 'none'}, in_room())}"}),
        ]
        assert {status for status, _ in filter(None, refused)} == {401}
        assert len(set(refused)) == 1, "the reason gives nothing away"


async def test_one_speaks_as_the_token_says_in_its_room_and_as_nobody_else() -> None:
    async with serving(tokens=TOKENS, wall_clock=lambda: NOW) as served, served.talker(key=signed(in_room())) as ada:
        await ada.send(started("t1", room="weekly"))
        assert (await ada.hear(Error)).code == "forbidden"
        await ada.send(started("t2", room="daily"))  # as "p-t2"
        assert (await ada.hear(Error)).code == "forbidden"
        await ada.send(Start("daily", "t3", "pcm_f32le", Participant("ada", "The Chair"), 24_000, live=False))
        await ada.hear(Started)
        await ada.speak("t3", saying(1, 2, 3))
        assert await ada.stop("t3") == "w1 w2 w3"
        await ada.send(Start("daily", "t4", "pcm_f32le", None, 24_000, live=False))
        await ada.speak("t4", saying(4, 5, 6))
        assert await ada.stop("t4") == "w4 w5 w6"
        speakers = {message.participant for message in ada.said if isinstance(message, Segment)}
        assert speakers == {Participant("ada", "Ada")}
        assert await served.metric("captions_errors_total", code="forbidden") == 2


async def test_who_may_only_watch_publishes_nowhere() -> None:
    muted = signed(claims({**IN_DAILY, "canPublish": False}))
    async with serving(tokens=TOKENS, wall_clock=lambda: NOW) as served:
        for route in ("/v1/stream", "/v1/livekit?room=daily&track=t", "/api/asr-streaming?room=daily"):
            refused = await refusal(served.url + route, {"Authorization": f"Bearer {muted}"})
            assert refused is not None
            assert refused[0] == 401


@pytest.mark.parametrize(
    ("query", "let_in"),
    [
        ("/v1/livekit?track=t&room=daily", True),
        ("/v1/livekit?track=t&room=daily&participant=ada", True),
        ("/v1/livekit?track=t&room=daily&participant=bob", False),
        ("/v1/livekit?track=t&room=weekly", False),
        ("/api/asr-streaming?room=daily", True),
        ("/api/asr-streaming?room=daily&participant=ada&name=Bob", True),
        ("/api/asr-streaming?room=daily&participant=bob", False),
        ("/api/asr-streaming?room=weekly", False),
        ("/api/asr-streaming", False),
    ],
)
async def test_where_the_url_says_who_and_where_it_has_to_be_the_tokens(query: str, let_in: bool) -> None:
    async with serving(tokens=TOKENS, wall_clock=lambda: NOW) as served:
        assert (await refusal(served.url + query, bearer()) is None) == let_in


async def test_a_session_goes_on_for_its_own_person_only() -> None:
    limits = {"resume_s": PATIENCE_S}
    async with serving(tokens=TOKENS, limits=limits, wall_clock=lambda: NOW) as served:
        async with served.talker(key=signed(in_room())) as ada:
            await ada.send(Start("daily", "t", "pcm_f32le", None, 24_000))
            await ada.hear(Started)
        ready = ada.said[0]
        assert isinstance(ready, Ready)
        resume = Resume(ready.session, ready.secret, len(ada.said))
        for others in ({"room": "weekly"}, {"sub": "bob"}):
            async with served.talker(key=signed(in_room(**others))) as thief:
                await thief.send(resume)
                assert (await thief.hear(Error)).code == "not_resumable"
        async with served.talker(key=signed(in_room(exp=NOW + 7_200))) as ada:
            await ada.send(resume, Stop("t"))
            await ada.hear(Stopped)


SOON_S = 0.05
"""The server's clock stands still, so that a connection of a token that ends then lasts this long."""


async def test_a_token_that_ends_closes_its_sockets_and_no_others() -> None:
    ending = signed(in_room(exp=NOW + SOON_S))
    async with serving(tokens=TOKENS, wall_clock=lambda: NOW) as served:
        for path in ("/v1/rooms/daily/captions", "/v1/stream", "/v1/livekit?room=daily&track=t"):
            url = served.url + path
            async with asyncio.timeout(PATIENCE_S), connect(url, proxy=None, additional_headers=bearer()) as other:
                async with connect(f"{url}{'&' if '?' in url else '?'}key={ending}", proxy=None) as connection:
                    await connection.wait_closed()
                    assert (connection.close_code, ending in (connection.close_reason or "")) == (4401, False)
                assert other.state is State.OPEN
        await served.nothing_held()


async def test_a_header_that_came_twice_is_no_good_and_no_error_of_ours() -> None:
    async with serving(tokens=TOKENS, wall_clock=lambda: NOW) as served:
        twice = [("Authorization", f"Bearer {signed(in_room())}")] * 2
        with pytest.raises(InvalidStatus) as refused:
            async with connect(served.url + "/v1/stream", proxy=None, additional_headers=twice):
                pass
        assert refused.value.response.status_code == 401


async def test_a_key_for_some_rooms_opens_no_others() -> None:
    keys = {"publish": ["all", {"key": "team", "rooms": "team-"}]}
    async with serving(keys=keys) as served, served.talker(key="team") as client:
        team = {"Authorization": "Bearer team"}
        assert await refusal(f"{served.url}/v1/rooms/team-daily/captions", team) is None
        for path in ("/v1/rooms/daily/captions", "/api/asr-streaming", "/api/asr-streaming?room=daily"):
            refused = await refusal(served.url + path, team)
            assert refused is not None
            assert refused[0] == 401
        assert await client.say("t1", saying(1, 2, 3), room="team-daily") == "w1 w2 w3"
        await client.send(started("t2", room="daily"))
        assert (await client.hear(Error)).code == "forbidden"
