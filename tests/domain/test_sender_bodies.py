"""The sender, if the body of an answer is wrong: the status has come in before it, and decides."""

import asyncio
from contextlib import suppress

import pytest

from domain.outcome import Delivered
from tests.domain.hostile_receivers.hostile import OK, answer
from tests.domain.sending import connections, request_to, sending, serving

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
WRONG = {
    "a 204 with a body": NO_CONTENT + b"\r\nok",
    "a 204 with a body and its length": NO_CONTENT + b"Content-Length: 2\r\n\r\nok",
    "more than its length": OK + b"Content-Length: 2\r\n\r\nok, and more",
    "a body that is declared chunked": CHUNKED + b"ok",
    "a chunk longer than it says": CHUNKED + b"2\r\nok, and more\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
async def test_a_2xx_is_a_success_whatever_comes_in_with_its_headers(
    wrong: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of a wrong chunk, aiohttp tells nobody who waits for the body.
    monkeypatch.setattr("domain.bounded_answer.BODY_WAIT", 0.1)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer(reader, writer, wrong)
        writer.close()

    async with serving(serve) as url, sending() as sender:
        for _ in range(2):
            outcome = await sender.send(request_to(url))
            assert isinstance(outcome, Delivered), outcome


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        (b"", True),
        (b"Content-Length: 0\r\n", True),
        (b"Content-Length: 2\r\n", False),
        (b"Transfer-Encoding: chunked\r\n", False),
    ],
)
async def test_no_connection_is_kept_on_which_the_body_of_a_204_may_come_late(headers: bytes, kept: bool) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                await answer(reader, writer, NO_CONTENT + headers + b"\r\n")
                await reader.readexactly(len(request_to("").body))
        writer.close()

    async with serving(serve) as url, sending() as sender:
        with connections() as connected:
            for _ in range(2):
                assert isinstance(await sender.send(request_to(url)), Delivered)
    assert len(connected) == (1 if kept else 2)
