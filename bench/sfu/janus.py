"""Debian's Janus with its video room, and what is asked of it over its REST interface.

https://janus.conf.meetecho.com/docs/rest.html and /docs/videoroom.html
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from bench.load.processes import LoadError

__all__ = ["MISSING", "ROOM", "Janus", "Publisher", "janus", "janus_path"]

MISSING = "no janus on this machine: apt-get install janus"
ROOM = 1_234
_PORT = 8_088
_START_S = 20.0
_LIBRARIES = "/usr/lib/x86_64-linux-gnu/janus"
_UNUSED_PLUGINS = "audiobridge duktape echotest lua nosip recordplay sip streaming textroom videocall voicemail"
_UNUSED_TRANSPORTS = "mqtt nanomsg pfunix rabbitmq websockets"


def janus_path() -> str | None:
    """Where it is, or None."""
    return shutil.which("janus")


class Publisher:
    """One participant's handle of the video room: `join`, then `publish` an offer, then `forward` to a UDP port."""

    def __init__(self, there: Janus, handle: int) -> None:
        self._there = there
        self._handle = handle
        self._id = 0

    async def join(self, name: str) -> None:
        body = {"request": "join", "ptype": "publisher", "room": ROOM, "display": name}
        self._id = (await self._there.event(self._handle, body))["plugindata"]["data"]["id"]

    async def publish(self, offer: str) -> str:
        """The answer to a session description that offers one audio track."""
        body = {"request": "publish", "audiocodec": "opus"}
        answer: str = (await self._there.event(self._handle, body, offer))["jsep"]["sdp"]
        return answer

    async def forward(self, host: str, port: int, ssrc: int, srtp_key: str | None = None) -> None:
        """Have the participant's audio sent on as RTP of a source, encrypted with a key in base64 or plain."""
        streams = [{"mid": "0", "port": port, "ssrc": ssrc, "pt": 96}]
        body = {"request": "rtp_forward", "room": ROOM, "publisher_id": self._id, "host": host, "streams": streams}
        if srtp_key is not None:
            body |= {"srtp_suite": 80, "srtp_crypto": srtp_key}
        await self._there.plain(self._handle, body)


class Janus:
    """One session. Events of all its handles come in by one long poll, and go to whoever asked for them."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.url = url
        self._http = http
        self._session = ""
        self._awaited: dict[str, asyncio.Future[dict[str, Any]]] = {}

    async def begin(self) -> None:
        created = await self._post(self.url, {"janus": "create"})
        self._session = f"{self.url}/{created['data']['id']}"

    async def publisher(self) -> Publisher:
        attached = await self._post(self._session, {"janus": "attach", "plugin": "janus.plugin.videoroom"})
        return Publisher(self, attached["data"]["id"])

    async def make_room(self) -> None:
        body = {"request": "create", "room": ROOM, "audiolevel_ext": True, "publishers": 8, "audiocodec": "opus"}
        await self.plain((await self.publisher())._handle, body)

    async def plain(self, handle: int, body: dict[str, Any]) -> dict[str, Any]:
        """A request that is answered at once."""
        answer = await self._post(f"{self._session}/{handle}", {"janus": "message", "body": body})
        data: dict[str, Any] = answer["plugindata"]["data"]
        if "error" in data:
            raise LoadError(f"janus: {data['error']}")
        return data

    async def event(self, handle: int, body: dict[str, Any], offer: str = "") -> dict[str, Any]:
        """A request that is answered by an event."""
        message: dict[str, Any] = {"janus": "message", "body": body, "transaction": secrets.token_hex(6)}
        if offer:
            message["jsep"] = {"type": "offer", "sdp": offer}
        answer = self._awaited[message["transaction"]] = asyncio.get_running_loop().create_future()
        await self._post(f"{self._session}/{handle}", message)
        return await asyncio.wait_for(answer, _START_S)

    async def poll(self) -> None:
        """Take events in until cancelled."""
        while True:
            async with self._http.get(self._session, params={"maxev": "10"}) as answer:
                events = await answer.json(content_type=None)
            for event in events if isinstance(events, list) else [events]:
                awaited = self._awaited.pop(event.get("transaction", ""), None)
                if awaited is not None and event["janus"] == "event":
                    awaited.set_result(event)

    async def _post(self, url: str, message: dict[str, Any]) -> dict[str, Any]:
        async with self._http.post(url, json={"transaction": secrets.token_hex(6)} | message) as answer:
            found: dict[str, Any] = await answer.json(content_type=None)
        if found["janus"] == "error":
            raise LoadError(f"janus: {found['error']['reason']}")
        return found


@asynccontextmanager
async def janus(address: str) -> AsyncIterator[Janus]:
    """Janus on an address of this host, with one room; see `janus_path` first.

    Raises:
        LoadError: it did not start.
    """
    path = janus_path()
    assert path is not None
    with tempfile.TemporaryDirectory() as folder, open(Path(folder) / "log", "wb") as log:  # noqa: ASYNC230 -- a small file
        _configure(Path(folder), address)
        command = [path, "-F", folder, "-C", f"{folder}/janus.jcfg"]
        with subprocess.Popen(command, stdout=log, stderr=log) as child:  # noqa: ASYNC220 -- it starts at once
            try:
                async with aiohttp.ClientSession() as http:
                    there = Janus(http, f"http://{address}:{_PORT}/janus")
                    await _until_up(there, child)
                    polling = asyncio.create_task(there.poll())
                    await there.make_room()
                    yield there
                    polling.cancel()
                    with suppress(asyncio.CancelledError):
                        await polling
            finally:
                child.terminate()


async def _until_up(there: Janus, child: subprocess.Popen[bytes]) -> None:
    async with asyncio.timeout(_START_S):
        while child.poll() is None:
            with suppress(aiohttp.ClientError):
                await there.begin()
                return
            await asyncio.sleep(0.1)
    raise LoadError(f"janus ended with status {child.returncode}")


def _configure(folder: Path, address: str) -> None:
    plugins = ",".join(f"libjanus_{name}.so" for name in _UNUSED_PLUGINS.split())
    transports = ",".join(f"libjanus_{name}.so" for name in _UNUSED_TRANSPORTS.split())
    (folder / "janus.jcfg").write_text(
        f'general: {{ configs_folder = "{folder}", plugins_folder = "{_LIBRARIES}/plugins", '
        f'transports_folder = "{_LIBRARIES}/transports", debug_level = 2 }}\n'
        f'media: {{ rtp_port_range = "20000-20100" }}\n'
        f'plugins: {{ disable = "{plugins}" }}\n'
        f'transports: {{ disable = "{transports}" }}\n'
    )
    (folder / "janus.transport.http.jcfg").write_text(
        f'general: {{ http = true, port = {_PORT}, ip = "{address}", https = false, base_path = "/janus" }}\n'
        "admin: { admin_http = false }\n"
    )
    (folder / "janus.plugin.videoroom.jcfg").write_text("general: {}\n")
