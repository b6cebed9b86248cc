"""TLS to Redis: whom a rediss:// URL trusts, and what doctor says of a server that it does not trust."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from cli import doctor
from cli.doctor import Finding, Verdict
from domain import queue
from domain.errors import Misconfigured
from domain.settings import Settings
from tests.domain.certificates import make_certificates, server_context
from tests.e2e.proxy import Gate, Link


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of an authority, beside those that it signed."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@asynccontextmanager
async def front(redis_url: str, certificate: Path) -> AsyncIterator[str]:
    """The rediss:// URL of a Redis that shows this certificate, for as long as the block lasts."""
    gate = Gate(redis_url.removeprefix("unix://"))

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Link(gate, (reader, writer), await asyncio.open_unix_connection(gate.target)).run()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=server_context(certificate))
    yield f"rediss://localhost:{server.sockets[0].getsockname()[1]}"
    server.close()
    while gate.links:
        await asyncio.sleep(0)


async def examine(settings: Settings, url: str) -> list[Finding]:
    return [finding async for finding in doctor.redis(replace(settings, redis_url=url))]


@pytest.mark.parametrize(
    ("certificate", "signer"),
    [
        pytest.param("good.pem", "authority.pem", id="of a private authority"),
        pytest.param("self-signed.pem", "self-signed.pem", id="its own authority"),
    ],
)
async def test_a_file_of_authorities_is_trusted_where_the_url_names_it(
    settings: Settings, authority: Path, certificate: str, signer: str
) -> None:
    async with front(settings.redis_url, authority.with_name(certificate)) as place:
        url = f"{place}?ssl_ca_certs={authority.with_name(signer)}"
        async with queue.connect(url) as redis:
            assert await redis.ping()
        answered, *_ = await examine(settings, url)
    assert answered.verdict is Verdict.OK


@pytest.mark.parametrize(
    ("certificate", "query", "says"),
    [
        pytest.param("good.pem", "", "unable to get local issuer certificate", id="of an authority that is not named"),
        pytest.param("unknown-authority.pem", "?ssl_ca_certs={}", "unable to get local issuer", id="a stranger's"),
        pytest.param("other-host.pem", "?ssl_ca_certs={}", "not valid for 'localhost'", id="of another host"),
        pytest.param("expired.pem", "?ssl_ca_certs={}", "certificate has expired", id="of last year"),
    ],
)
async def test_no_other_is_spoken_to_and_doctor_says_why(
    settings: Settings, authority: Path, certificate: str, query: str, says: str
) -> None:
    async with front(settings.redis_url, authority.with_name(certificate)) as place:
        url = place + query.format(authority)
        async with queue.connect(url) as redis:
            with pytest.raises(RedisError, match=says):
                await redis.ping()
        (found,) = await examine(settings, url)
    assert found.verdict is Verdict.FAULT
    assert found.says.startswith("Redis's certificate is not trusted (")
    assert says in found.says
    assert found.remedy.endswith("the authority that signed it (ssl_ca_certs=FILE).")


async def test_no_connection_reads_the_authorities_again(settings: Settings, authority: Path, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    shutil.copy(authority, file)
    async with front(settings.redis_url, authority.with_name("good.pem")) as place:
        url = f"{place}?ssl_ca_certs={file}"
        async with queue.connect(url) as redis:
            file.unlink()
            assert await redis.ping()
        async with queue.connect(url) as another:
            assert await another.ping()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("rediss://h?ssl_ca_certs=/none/ca.pem", "ssl_ca_certs=/none/ca.pem cannot be read: No such file"),
        (f"rediss://h?ssl_ca_certs={__file__}", "cannot be read: it holds no certificates"),
        ("rediss://h?ssl_ca_certs=%00", "HOOKLINE_REDIS_URL must look like"),
        ("redis://h?ssl_ca_certs=ca.pem", "ssl_ca_certs needs rediss://"),
        ("unix:///r.sock?ssl_ca_certs=ca.pem", "ssl_ca_certs needs rediss://"),
    ],
)
def test_what_cannot_be_trusted_is_refused(url: str, says: str) -> None:
    with pytest.raises(Misconfigured, match=says):
        queue.redis_settings(url)
