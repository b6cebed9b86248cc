"""How errors are classified: what went wrong, whose fault it is, and the sentence that a person reads."""

import asyncio
import errno
import ssl
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from domain.failures import classify
from domain.vocabulary import AttemptOutcome
from tests.domain.certificates import make_certificates, server_context
from tests.domain.sending import PATIENT, request_to, sending, serving

PLACE = ConnectionKey("example.com", 443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None)
MISSING = "The receiver's certificate comes from an unknown authority, or an intermediate certificate is missing."


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A receiver that says nothing until the sender gives up."""
    with suppress(ConnectionError):
        await reader.read()
    writer.close()


@pytest.mark.parametrize("name", ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EADDRNOTAVAIL"])
def test_where_we_lack_something_the_attempt_does_not_count(name: str) -> None:
    error = aiohttp.ClientConnectorError(PLACE, OSError(getattr(errno, name), "as the system says"))
    assert classify(error) == (AttemptOutcome.INTERRUPTED, "Hookline had no room for another connection.")


@pytest.mark.parametrize("name", ["EHOSTUNREACH", "ENETUNREACH", "EHOSTDOWN", "ENETDOWN"])
def test_a_receiver_to_which_no_way_leads_cannot_be_reached(name: str) -> None:
    error = aiohttp.ClientConnectorError(PLACE, OSError(getattr(errno, name), "as the system says"))
    assert classify(error) == (AttemptOutcome.CONNECTION_FAILED, "The receiver cannot be reached.")


CERTIFICATES = {
    ("expired", "localhost"): "The receiver's certificate has expired.",
    ("other-host", "localhost"): "The receiver's certificate is for another host.",
    ("other-host", "127.0.0.1"): "The receiver's certificate is for another address.",
    ("self-signed", "localhost"): "The receiver's certificate is signed by itself.",
    ("unknown-authority", "localhost"): MISSING,
}


async def test_it_is_said_what_is_wrong_with_a_certificate(tmp_path: Path) -> None:
    trust = ssl.create_default_context(cafile=str(make_certificates(tmp_path)))
    told = {}
    async with sending(tls=trust) as sender:
        for name, host in CERTIFICATES:
            async with serving(silent, server_context(tmp_path / f"{name}.pem")) as url:
                told[name, host] = await sender.send(request_to(url.replace("127.0.0.1", host)))
    assert {place: outcome.error for place, outcome in told.items()} == CERTIFICATES
    assert {outcome.kind for outcome in told.values()} == {AttemptOutcome.TLS_FAILED}


async def test_one_that_never_shakes_hands_did_not_accept_the_connection() -> None:
    limits = replace(PATIENT, connect_timeout=timedelta(seconds=0.1))
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent(reader, writer)
        over.set()

    async with serving(serve) as url, sending(limits=limits) as sender:
        outcome = await sender.send(request_to(url.replace("http", "https")))
        await over.wait()
    assert outcome.kind is AttemptOutcome.TIMED_OUT
    assert outcome.error == "The receiver did not accept the connection in time."
