"""Keys, issuers of tokens, origins and the certificate, taken anew from the configuration while the server runs."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from captions.config import ConfigError, load
from captions.models.scripted import ScriptedModel
from captions.server.server import Server
from captions.server.tls import Certificate
from tests.server.harness import PATIENCE_S

SECRET = "a secret of an issuer, 32 bytes or more"
TOKEN = jwt.encode(
    {"iss": "meet", "sub": "ada", "exp": 4_000_000_000, "video": {"room": "daily", "roomJoin": True}}, SECRET, "HS256"
)
ISSUER = f'[tokens]\nissuers = [{{issuer = "meet", secret = "{SECRET}"}}]\n'


def certify(folder: Path, name: str) -> None:
    """A certificate of that name for localhost, and its key, as cert.pem and key.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(
            subject, subject, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


class House:
    """A running server whose configuration is a file."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "config.toml"

    def write(self, settings: str) -> None:
        self.file.write_text("[server]\nport = 0\n" + settings)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[House]:
        self.server = Server(load(self.file), ScriptedModel(1), reread=lambda: load(self.file))
        await self.server.start()
        yield self
        await self.server.stop()

    async def connect(self, key: str) -> ClientConnection:
        return await connect(
            f"ws://127.0.0.1:{self.server.port}/v1/rooms/daily/captions",
            additional_headers={"Authorization": f"Bearer {key}"},
            proxy=None,
        )

    async def statuses(self, *keys: str) -> list[int]:
        found = []
        for key in keys:
            try:
                await (await self.connect(key)).close()
                found.append(101)
            except InvalidStatus as refusal:
                found.append(refusal.response.status_code)
        return found


async def ended_with(connection: ClientConnection) -> int | None:
    async with asyncio.timeout(PATIENCE_S):
        try:
            while True:
                await connection.recv()
        except ConnectionClosed:
            return connection.close_code


async def test_a_new_key_lets_in_and_an_old_one_no_more(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.write('[keys]\npublish = ["old", "kept"]\nwatch = ["narrowed"]\n')
    async with house.open():
        old, kept, narrowed = [await house.connect(key) for key in ("old", "kept", "narrowed")]
        house.write('[keys]\npublish = ["kept", "new"]\nwatch = [{key = "narrowed", rooms = "daily"}]\n')
        await house.server.read_again()
        assert await house.statuses("old", "kept", "new", "narrowed") == [401, 101, 101, 101]
        assert [await ended_with(old), await ended_with(narrowed)] == [4401, 4401]
        await kept.ping()
        assert kept.close_code is None


async def test_an_issuer_that_is_gone_takes_its_participants_along(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.write('[keys]\npublish = ["k"]\n' + ISSUER)
    async with house.open():
        ada = await house.connect(TOKEN)
        await house.server.read_again()
        assert await house.statuses(TOKEN) == [101]
        house.write('[keys]\npublish = ["k"]\n')
        await house.server.read_again()
        assert await house.statuses(TOKEN) == [401]
        assert await ended_with(ada) == 4401


async def test_a_configuration_that_is_wrong_changes_nothing_and_tells_no_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(tmp_path)
    house.write('[keys]\npublish = ["a-very-secret-key"]\n')
    async with house.open():
        one = await house.connect("a-very-secret-key")
        for wrong in (
            '[keys]\npublish = ["a-very-secret-key", 7]\n',
            '[keys]\nwatch = ["a-very-secret-key"]\n',
            '[keys]\npublish = ["a-very-secret-key\n',
            '[keys]\npublish = ["sha256:a-very-secret-key"]\n',
            '[tokens]\nissuers = [{issuer = "meet", secret = "a-very-secret-key", public_key_file = "x"}]\n',
            '[keys]\npublish = ["a-very-secret-key"]\n[tokens]\nissuers = [{issuer = "i", public_key_file = "none"}]\n',
        ):
            caplog.clear()
            house.write(wrong)
            with caplog.at_level(logging.DEBUG):
                await house.server.read_again()
            assert [record.levelname for record in caplog.records if record.name.startswith("captions")] == ["ERROR"]
            assert "secret-key" not in "".join(str(record.__dict__) for record in caplog.records)
            assert await house.statuses("a-very-secret-key") == [101]
        await one.ping()
        assert one.close_code is None


def test_no_key_is_in_what_a_configuration_looks_like(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.write('[keys]\npublish = ["hidden", {key = "hidden"}]\nwatch = ["hidden"]\n' + ISSUER)
    shown = repr(load(house.file))
    assert "hidden" not in shown
    assert SECRET not in shown


async def name_shown(port: int) -> str:
    """The name in the certificate of who answers there."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    [name] = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(name.value)


async def test_a_certificate_is_renewed_while_a_client_talks(tmp_path: Path) -> None:
    certify(tmp_path, "first")
    house = House(tmp_path)
    house.write(f'tls_cert = "{tmp_path}/cert.pem"\ntls_key = "{tmp_path}/key.pem"\n')
    async with house.open():
        trusting = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        port = house.server.port
        async with connect(f"wss://localhost:{port}/v1/stream", ssl=trusting, proxy=None) as talking:
            certify(tmp_path, "second")
            await house.server.read_again()
            assert await name_shown(port) == "second"
            (tmp_path / "key.pem").write_text("no key")
            await house.server.read_again()
            assert await name_shown(port) == "second"
            await (await talking.ping())
        with pytest.raises((OSError, InvalidHandshake)):
            async with asyncio.timeout(PATIENCE_S), connect(f"ws://localhost:{port}/v1/stream", proxy=None):
                pass


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_files_that_are_no_certificate_are_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        for name in ("cert.pem", "key.pem"):
            (tmp_path / name).write_text(content)
    file = tmp_path / "config.toml"
    file.write_text(f'[server]\ntls_cert = "{tmp_path}/cert.pem"\ntls_key = "{tmp_path}/key.pem"\n')
    with pytest.raises(ConfigError, match=r"cert\.pem"):
        Certificate(load(file).server)


def test_a_certificate_without_its_key_is_refused() -> None:
    with pytest.raises(ConfigError, match="go together"):
        load(None, {"CAPTIONS_SERVER_TLS_CERT": "cert.pem"})


async def test_a_real_process_reads_its_keys_again_on_sighup_and_tells_none(tmp_path: Path) -> None:
    keys = ["an-old-secret", "a-new-secret", "a-watchers-secret"]
    house = House(tmp_path)
    house.write(f'[keys]\npublish = ["{keys[0]}"]\nwatch = ["{keys[2]}"]\n[model]\nname = "moonshine"\n' + ISSUER)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "captions", "serve", "--config", str(house.file)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        said = (await process.stdout.readline()).decode()
        port = int(re.findall(r":(\d+)/", said)[0])
        url = f"ws://127.0.0.1:{port}/v1/rooms/daily/captions"

        told: list[str] = []

        async def status(key: str, *, in_query: bool = False) -> int:
            try:
                address = f"{url}?key={key}" if in_query else url
                async with connect(address, additional_headers={"Authorization": f"Bearer {key}"}, proxy=None):
                    return 101
            except InvalidStatus as refusal:
                told.append(str(refusal.response.body))
                return refusal.response.status_code

        before = [await status(key) for key in (*keys, TOKEN)]
        house.write(f'[keys]\npublish = ["{keys[1]}"]\n[model]\nname = "moonshine"\n')
        process.send_signal(signal.SIGHUP)
        while await status(keys[1], in_query=True) != 101:  # noqa: ASYNC110 -- what is waited for is another process
            await asyncio.sleep(0.05)
        after = [await status(key) for key in (*keys, TOKEN)]
        house.write('[keys]\npublish = ["a-new-secret", 7]\n')
        process.send_signal(signal.SIGHUP)
        process.terminate()
        out, err = await process.communicate()
    assert (before, after) == ([101, 401, 101, 101], [401, 101, 401, 401])
    logged = said + (out + err).decode() + "".join(told)
    assert "read again" in logged
    assert [secret for secret in (*keys, SECRET, TOKEN) if secret in logged] == []
    assert process.returncode == 0
