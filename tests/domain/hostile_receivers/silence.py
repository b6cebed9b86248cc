"""Silence and slowness."""

import asyncio

from tests.domain.hostile_receivers.hostile import HTTP_ERROR, OK, SUCCEEDED, TIMED_OUT, answer, drip, forever, hostile


@hostile(TIMED_OUT)
async def never_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await forever()


@hostile(TIMED_OUT)
async def never_reads(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # Its request is larger than all buffers on the way.
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await forever()


@hostile(SUCCEEDED)
async def answers_and_reads_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-Length: 0\r\n\r\n")
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await forever()


@hostile(SUCCEEDED)
async def answers_for_the_last_time_and_reads_nothing(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await answer(reader, writer, OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n")
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await forever()


@hostile(TIMED_OUT)
async def drips_its_status_line(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await drip(writer, b"HTTP/1.1 200 " + b"O" * 4000)


@hostile(TIMED_OUT)
async def drips_its_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await drip(writer, OK + b"A: b\r\n" * 1000)


@hostile(TIMED_OUT)
async def stops_within_its_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-Le")
    await forever()


@hostile(TIMED_OUT)
async def says_continue_and_nothing_more(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, b"HTTP/1.1 100 Continue\r\n\r\n")
    await forever()


@hostile(SUCCEEDED)
async def drips_its_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-Length: 100000\r\n\r\n")
    await drip(writer, b"x" * 1000)


@hostile(HTTP_ERROR)
async def drips_the_body_of_an_error(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, b"HTTP/1.1 500 No\r\nContent-Length: 100000\r\n\r\n")
    await drip(writer, b"x" * 1000)


@hostile(SUCCEEDED)
async def stops_within_its_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-Length: 100\r\n\r\nhalf of it")
    await forever()


@hostile(SUCCEEDED)
async def never_ends_its_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"\r\nno length, no end")
    await forever()
