"""TLS: a receiver with a certificate is called once the handshake is done, which most of these prevent."""

import asyncio

from tests.domain.hostile_receivers.floods import floods_continues, floods_its_body
from tests.domain.hostile_receivers.hostile import (
    BROKEN,
    INVALID,
    OK,
    SUCCEEDED,
    TIMED_OUT,
    TLS,
    answer,
    drip,
    forever,
    hostile,
    reset,
)
from tests.domain.hostile_receivers.silence import answers_for_the_last_time_and_reads_nothing


async def unreached(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers 200, which shows that the sender trusted what it should not."""
    await answer(reader, writer, OK + b"Content-Length: 0\r\n\r\n")


@hostile(TLS, certificate="self-signed")
async def shows_a_certificate_of_its_own(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await unreached(reader, writer)


@hostile(TLS, certificate="expired")
async def shows_an_expired_certificate(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await unreached(reader, writer)


@hostile(TLS, certificate="other-host")
async def shows_a_certificate_of_another_host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await unreached(reader, writer)


@hostile(TLS, certificate="unknown-authority")
async def shows_a_certificate_of_nobody(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await unreached(reader, writer)


@hostile(SUCCEEDED, certificate="good")
async def floods_its_body_over_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await floods_its_body(reader, writer)


@hostile(INVALID, certificate="good")
async def floods_continues_over_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await floods_continues(reader, writer)


@hostile(SUCCEEDED, certificate="good")
async def answers_for_the_last_time_and_says_no_goodbye(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await answers_for_the_last_time_and_reads_nothing(reader, writer)


@hostile(TIMED_OUT, scheme="https")
async def never_shakes_hands(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await forever()


@hostile(TLS, scheme="https")
async def answers_tls_in_plain_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()
    await forever()


@hostile(BROKEN, scheme="https")
async def resets_the_handshake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    reset(writer)


@hostile(TLS, scheme="https")
async def refuses_the_handshake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    # A fatal alert: handshake_failure.
    writer.write(b"\x15\x03\x03\x00\x02\x02\x28")
    await writer.drain()
    await forever()


@hostile(TIMED_OUT, scheme="https")
async def floods_the_handshake_with_empty_records(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    # A record that announces 16 KiB and drips.
    writer.write(b"\x16\x03\x03\x40\x00")
    await drip(writer, b"\x02" * 1000)
