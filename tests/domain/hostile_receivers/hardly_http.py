"""Not HTTP, or barely."""

import asyncio
import os

from tests.domain.hostile_receivers.hostile import (
    BROKEN,
    HTTP_ERROR,
    INVALID,
    OK,
    SUCCEEDED,
    answer,
    flood,
    forever,
    hostile,
    reset,
    take_request,
)


@hostile(BROKEN)
async def closes_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@hostile(BROKEN)
async def resets_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    reset(writer)


@hostile(BROKEN)
async def closes_after_the_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await take_request(reader)


@hostile(BROKEN)
async def resets_after_the_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await take_request(reader)
    reset(writer)


@hostile(BROKEN)
async def resets_within_its_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-")
    await asyncio.sleep(0.05)
    reset(writer)


@hostile(SUCCEEDED)
async def resets_within_its_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-Length: 100\r\n\r\nhalf of it")
    await asyncio.sleep(0.05)
    reset(writer)


@hostile(INVALID)
async def speaks_smtp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP ready\r\n")
    await answer(reader, writer, b"502 5.5.2 Error: command not recognized\r\n")


@hostile(INVALID)
async def speaks_ssh(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    await forever()


@hostile(INVALID)
async def speaks_http_0_9(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, b"<html>It works!</html>\n")


@hostile(INVALID)
async def speaks_http_2(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80" + bytes(12))


@hostile(INVALID)
async def speaks_noise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await take_request(reader)
    await flood(writer, os.urandom(4096))


@hostile(INVALID)
async def answers_status_000(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, b"HTTP/1.1 000 Nothing\r\nContent-Length: 0\r\n\r\n")


@hostile(INVALID)
async def answers_status_999(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, b"HTTP/1.1 999 Denied\r\nContent-Length: 0\r\n\r\n")


@hostile(INVALID)
async def answers_a_status_of_four_digits(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n")


@hostile(INVALID)
async def answers_a_status_in_words(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, b"HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n")


@hostile(INVALID)
async def switches_protocols(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    await flood(writer, b"\x81\x02hi")


@hostile(HTTP_ERROR)
async def redirects_to_itself(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, b"HTTP/1.1 307 Again\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")


@hostile(HTTP_ERROR)
async def redirects_to_a_file(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, b"HTTP/1.1 302 F\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n")


@hostile(HTTP_ERROR)
async def asks_for_a_wait_beyond_reason(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, b"HTTP/1.1 429 No\r\nRetry-After: " + b"9" * 4000 + b"\r\nContent-Length: 0\r\n\r\n")


@hostile(INVALID)
async def sends_a_header_without_a_colon(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"this is no header\r\nContent-Length: 0\r\n\r\n")


@hostile(INVALID)
async def sends_nul_in_a_header(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"A: b\x00c\r\nContent-Length: 0\r\n\r\n")


@hostile(SUCCEEDED)
async def sends_bytes_that_are_no_text(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    garbage = bytes(range(256)) + b"\xed\xa0\x80" * 20
    await answer(reader, writer, OK + b"A: \xff\xed\xa0\x80\r\nContent-Length: %d\r\n\r\n" % len(garbage) + garbage)


@hostile(SUCCEEDED)
async def names_a_charset_that_is_slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = b"a.b" * 20_000
    head = OK + b"Content-Type: text/plain; charset=idna\r\nContent-Length: %d\r\n\r\n" % len(body)
    await answer(reader, writer, head + body)
