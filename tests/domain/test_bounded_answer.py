"""How much of an answer is kept for the log."""

import asyncio

import pytest

from domain.outcome import Answer as Kept
from domain.outcome import Delivered
from tests.domain.sending import request_to, sending, serving
from tests.receiver import Answer, Receiver

KIBIBYTE = 1024


@pytest.mark.parametrize("size", [0, 16 * KIBIBYTE, 16 * KIBIBYTE + 1, 64 * KIBIBYTE, 64 * KIBIBYTE + 1])
async def test_16_kib_of_a_body_are_kept_and_it_is_said_where_there_was_more(size: int, receiver: Receiver) -> None:
    receiver.answer(Answer(200, body="x" * size))
    async with sending() as sender:
        outcome = await sender.send(request_to(receiver.url))
    assert isinstance(outcome, Delivered)
    assert (outcome.answer.body, outcome.answer.truncated) == ("x" * min(size, 16 * KIBIBYTE), size > 16 * KIBIBYTE)


async def test_64_headers_are_kept_and_as_much_of_each_as_anybody_wants_to_read() -> None:
    kept = await kept_of(b"N" * 300 + b": " + b"v" * 5_000 + b"\r\n" + b"A: b\r\n" * 70)
    assert kept.headers == (("N" * 256, "v" * 4_096), *[("A", "b")] * 63)


async def test_no_half_of_a_secret_is_kept_where_a_header_is_cut(receiver: Receiver) -> None:
    secret = "hush" * 20
    receiver.answer(Answer(200, {"X-Echo": "v" * (4 * KIBIBYTE - 10) + secret}))
    async with sending() as sender:
        outcome = await sender.send(request_to(receiver.url, headers=(("X-Api-Key", secret),)))
    assert isinstance(outcome, Delivered)
    echo = dict(outcome.answer.headers)["X-Echo"]
    assert echo == "v" * (4 * KIBIBYTE - 10) + "(hidden)"


async def kept_of(headers: bytes) -> Kept:
    """What is kept of an answer with these headers and no body."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(len(request_to("").body))
        writer.write(b"HTTP/1.1 200 OK\r\n" + headers + b"Content-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with serving(serve) as url, sending() as sender:
        outcome = await sender.send(request_to(url))
    assert isinstance(outcome, Delivered)
    return outcome.answer
