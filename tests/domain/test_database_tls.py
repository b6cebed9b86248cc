"""TLS to PostgreSQL, as sslmode and sslrootcert ask for it, on every way to the database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from cli import doctor
from cli.doctor import Finding, Verdict
from cli.private_server import POSTGRES_SOCKET
from domain import postgres_url
from domain.database import connected, migrate, rows
from domain.errors import Misconfigured, Unavailable
from domain.settings import Settings
from tests.domain.certificates import make_certificates, server_context
from tests.e2e.proxy import Gate, Link, Stream

SSL_REQUEST = bytes.fromhex("0000000804d2162f")


class Front:
    """PostgreSQL on a loopback port, with TLS if it is given a certificate: the wheel's PostgreSQL has none."""

    def __init__(self, settings: Settings, certificate: Path | None) -> None:
        self._settings = settings
        self._database = urlsplit(settings.database_url)
        (sockets,) = parse_qs(self._database.query)["host"]
        self._gate = Gate(f"{sockets}/{POSTGRES_SOCKET}")
        self._context = certificate and server_context(certificate)
        self.encrypted: list[bool] = []

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Front"]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self._gate.tell("refuse", "")
            while self._gate.links:
                await asyncio.sleep(0)

    def settings(self, query: str) -> Settings:
        """Settings whose URL leads here, with `query` after the ?."""
        place = f"{self._database.username}@localhost:{self._port}"
        return replace(self._settings, database_url=f"postgresql://{place}{self._database.path}?{query}")

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first = await reader.readexactly(8)
            if first == SSL_REQUEST:
                writer.write(b"S" if self._context else b"N")
                if self._context:
                    await writer.start_tls(self._context)
                first = await reader.readexactly(8)
        except (OSError, EOFError):  # the client requires TLS, or refuses the certificate
            writer.close()
            return
        self.encrypted.append(writer.get_extra_info("ssl_object") is not None)
        upstream: Stream = await asyncio.open_unix_connection(self._gate.target)
        upstream[1].write(first)
        await Link(self._gate, (reader, writer), upstream).run()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of an authority, beside those that it signed."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


async def look(settings: Settings) -> None:
    async with connected(settings):
        await rows("SELECT 1")


async def examine(settings: Settings) -> list[Finding]:
    return [finding async for finding in doctor.postgres(settings, datetime.now(UTC), can_open=False)]


async def test_every_connection_is_encrypted_and_checked_where_the_url_asks_for_it(
    settings: Settings, authority: Path
) -> None:
    async with Front(settings, authority.with_name("good.pem")).serving() as there:
        told = there.settings(f"sslmode=verify-full&sslrootcert={authority}")
        await look(told)
        await migrate(told)
        assert {finding.verdict for finding in await examine(told)} == {Verdict.OK}
        assert len(there.encrypted) >= 5
        assert all(there.encrypted)


@pytest.mark.parametrize(
    ("certificate", "query"),
    [
        pytest.param(None, "sslmode=require", id="no TLS"),
        pytest.param(None, "sslmode=verify-full&sslrootcert={authority}", id="no TLS to check"),
        pytest.param("unknown-authority.pem", "sslmode=require&sslrootcert={authority}", id="a stranger's"),
        pytest.param("unknown-authority.pem", "sslmode=verify-ca&sslrootcert={authority}", id="a stranger's again"),
        pytest.param("other-host.pem", "sslmode=verify-full&sslrootcert={authority}", id="of another host"),
    ],
)
async def test_what_is_not_as_safe_as_was_asked_for_is_not_used(
    settings: Settings, authority: Path, certificate: str | None, query: str
) -> None:
    async with Front(settings, authority.with_name(certificate) if certificate else None).serving() as there:
        told = there.settings(query.format(authority=authority))
        with pytest.raises(Unavailable):
            await look(told)
        with pytest.raises(OSError, match=r"."):
            await migrate(told)
        assert {finding.verdict for finding in await examine(told)} == {Verdict.FAULT}
        assert there.encrypted == []


async def test_doctor_says_that_a_server_speaks_no_tls(settings: Settings) -> None:
    async with Front(settings, None).serving() as there:
        (found,) = await examine(there.settings("sslmode=require"))
    assert "rejected SSL upgrade" in found.says
    assert found.remedy == "Have it speak TLS (ssl = on), or leave sslmode out of HOOKLINE_DATABASE_URL."


async def test_doctor_says_what_is_wrong_with_a_certificate(settings: Settings, authority: Path) -> None:
    async with Front(settings, authority.with_name("unknown-authority.pem")).serving() as there:
        (found,) = await examine(there.settings(f"sslmode=verify-full&sslrootcert={authority}"))
    assert found.says == "PostgreSQL's certificate is not trusted (unable to get local issuer certificate)"
    assert found.remedy.endswith("the authority that signed it (sslrootcert=FILE).")


@pytest.mark.parametrize(
    ("certificate", "query", "encrypted"),
    [
        pytest.param("good.pem", "", True, id="there, and not spoken of"),
        pytest.param("self-signed.pem", "sslmode=require", True, id="wanted, from whomever"),
        pytest.param("other-host.pem", "sslmode=verify-ca&sslrootcert={authority}", True, id="of another host"),
        pytest.param("good.pem", "sslmode=disable", False, id="not wanted"),
        pytest.param(None, "sslmode=prefer", False, id="preferred, and not there"),
    ],
)
async def test_as_much_as_was_asked_for_is_enough(
    settings: Settings, authority: Path, certificate: str | None, query: str, *, encrypted: bool
) -> None:
    async with Front(settings, authority.with_name(certificate) if certificate else None).serving() as there:
        await look(there.settings(query.format(authority=authority)))
        assert set(there.encrypted) == {encrypted}


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("sslmode=on", "sslmode must be one of disable, allow, prefer, require, verify-ca, verify-full"),
        ("sslmode=verify-full", "sslmode=verify-full needs sslrootcert, a file with certificates"),
        ("sslrootcert=ca.pem", "sslrootcert needs an sslmode of require, verify-ca, verify-full"),
        ("sslmode=verify-ca&sslrootcert=%00", "HOOKLINE_DATABASE_URL must look like"),
        ("sslmode=verify-ca&sslrootcert=/none/ca.pem", "sslrootcert=/none/ca.pem cannot be read: No such file"),
        (f"sslmode=verify-ca&sslrootcert={__file__}", "cannot be read: it holds no certificates"),
        (
            "sslcert=me.pem",
            "Of parameters, HOOKLINE_DATABASE_URL may have host, pgbouncer, sslmode, sslrootcert and no other",
        ),
    ],
)
def test_what_cannot_be_asked_for_is_refused(query: str, says: str) -> None:
    with pytest.raises(Misconfigured, match=says):
        postgres_url.place(f"postgresql://h/db?{query}")
