"""Lies about length and form."""

import asyncio

from tests.domain.hostile_receivers.hostile import INVALID, OK, SUCCEEDED, answer, flood, forever, hostile, take_request


@hostile(SUCCEEDED)
async def promises_more_than_it_sends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-Length: 1000\r\n\r\nten bytes.")


@hostile(SUCCEEDED)
async def sends_more_than_it_promised(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-Length: 3\r\n\r\nabc" + b"HTTP/1.1 500 Injected\r\n\r\n" * 3)


@hostile(SUCCEEDED)
async def sends_garbage_after_its_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-Length: 3\r\n\r\nabc and more")


@hostile(INVALID)
async def sends_two_lengths(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd")


@hostile(INVALID)
async def sends_a_negative_length(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-Length: -1\r\n\r\nabcd")


@hostile(INVALID)
async def sends_a_length_of_thirty_digits(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-Length: " + b"9" * 30 + b"\r\n\r\nabcd")


@hostile(SUCCEEDED)
async def promises_nine_exabytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-Length: 9000000000000000000\r\n\r\n")
    await flood(writer, b"x" * 1024)


@hostile(INVALID)
async def sends_length_and_chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")


@hostile(SUCCEEDED)
async def sends_a_chunk_of_no_size(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await take_request(reader)
    writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.write(b"zebra\r\nabc\r\n")
    await writer.drain()


@hostile(SUCCEEDED)
async def sends_a_chunk_of_huge_size(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n")
    await flood(writer, b"x" * 1024)


@hostile(SUCCEEDED)
async def answers_twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, (OK + b"Content-Length: 0\r\n\r\n") * 2)
    await forever()


@hostile(SUCCEEDED)
async def answers_before_it_was_asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"Content-Length: 2\r\n\r\nok")
    await writer.drain()
    await forever()
