"""Floods and bombs."""

import asyncio
import functools
import gzip

from tests.domain.hostile_receivers.hostile import (
    INVALID,
    MEBIBYTE,
    OK,
    SUCCEEDED,
    answer,
    flood,
    hostile,
    take_request,
)


@hostile(SUCCEEDED)
async def floods_its_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"\r\n")
    await flood(writer, b"x" * 1024)


@hostile(SUCCEEDED)
async def floods_a_chunked_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Transfer-Encoding: chunked\r\n\r\n")
    await flood(writer, b"400\r\n" + b"x" * 1024 + b"\r\n")


@hostile(SUCCEEDED)
async def floods_chunks_of_one_byte(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Transfer-Encoding: chunked\r\n\r\n")
    await flood(writer, b"1\r\nx\r\n")


@hostile(SUCCEEDED)
async def floods_chunk_extensions(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Transfer-Encoding: chunked\r\n\r\n1;")
    await flood(writer, b"a=b;")


@hostile(SUCCEEDED)
async def floods_small_chunk_extensions(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Transfer-Encoding: chunked\r\n\r\n")
    await flood(writer, b"1;" + b"e" * 2000 + b"\r\nx\r\n")


@hostile(SUCCEEDED, INVALID)
async def floods_trailers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n")
    await flood(writer, b"A: b\r\n")


@hostile(INVALID)
async def floods_continues(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await take_request(reader)
    await flood(writer, b"HTTP/1.1 100 Continue\r\n\r\n")


@hostile(INVALID)
async def floods_short_continues(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await take_request(reader)
    await flood(writer, b"HTTP/1.1 100\r\n\r\n")


@hostile(INVALID)
async def floods_early_hints(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await take_request(reader)
    await flood(writer, b"HTTP/1.1 103 Early Hints\r\n" + b"Link: </a>\r\n" * 40 + b"\r\n")


@hostile(INVALID)
async def floods_its_status_line(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, b"HTTP/1.1 200 ")
    await flood(writer, b"O")


@hostile(INVALID)
async def floods_one_header(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"A: ")
    await flood(writer, b"b")


@hostile(INVALID)
async def floods_the_name_of_a_header(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK)
    await flood(writer, b"A")


@hostile(INVALID)
async def floods_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK)
    await flood(writer, b"A: b\r\n")


@hostile(INVALID)
async def floods_folded_lines(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"A: b\r\n")
    await flood(writer, b" b\r\n")


@hostile(INVALID)
async def floods_empty_lines(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await take_request(reader)
    await flood(writer, b"\r\n")


@hostile(SUCCEEDED)
async def sends_a_thousand_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"".join(b"A%d: b\r\n" % n for n in range(1000)) + b"Content-Length: 0\r\n\r\n")


@hostile(SUCCEEDED)
async def sends_as_many_headers_as_fit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"A:\r\n" * 8000 + b"Content-Length: 0\r\n\r\n")


@hostile(SUCCEEDED)
async def sends_sixty_cookies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    cookies = b"".join(b"Set-Cookie: c%d=%b; Path=/\r\n" % (n, b"v" * 500) for n in range(60))
    await answer(reader, writer, OK + cookies + b"Content-Length: 0\r\n\r\n")


@hostile(INVALID)
async def sends_a_quarter_mebibyte_of_cookies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    cookies = b"".join(b"Set-Cookie: c%d=%b; Path=/\r\n" % (n, b"v" * 4000) for n in range(60))
    await answer(reader, writer, OK + cookies + b"Content-Length: 0\r\n\r\n")


@hostile(SUCCEEDED)
async def sends_a_gzip_bomb(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    bomb = _bomb()
    await answer(reader, writer, OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb)


@hostile(SUCCEEDED)
async def says_deflate_and_sends_garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-Encoding: deflate\r\nContent-Length: 10\r\n\r\nno packing")


@functools.cache
def _bomb() -> bytes:
    packed = bytes(64 * MEBIBYTE)
    for _ in range(2):
        packed = gzip.compress(packed, 9)
    return packed
