"""The sender, if a receiver answers before it has read its whole request."""

import asyncio
from datetime import timedelta

import pytest

from domain.guarded_socket import OPEN
from domain.outcome import Delivered
from domain.sender import SenderLimits
from domain.vocabulary import AttemptOutcome
from tests.domain.hostile_receivers.hostile import MEBIBYTE, OK, answer, reset
from tests.domain.sending import request_to, sending, serving
from tests.waiting import until

MORE_THAN_ALL_BUFFERS = b"x" * 8 * MEBIBYTE
UNHURRIED = SenderLimits(request_timeout=timedelta(minutes=1))

pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow machine, two seconds are too short even for a willing receiver."""
    monkeypatch.setattr("domain.guarded_socket.PARTING_SECONDS", 60.0)


async def test_one_that_is_willing_gets_the_rest_of_its_request() -> None:
    taken: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer(reader, writer, OK + b"Content-Length: 0\r\n\r\n")
        try:
            taken.set_result(await reader.readexactly(len(MORE_THAN_ALL_BUFFERS)))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            taken.set_exception(error)
        writer.close()

    async with serving(serve) as url, sending(limits=UNHURRIED) as sender:
        outcome = await sender.send(request_to(url, body=MORE_THAN_ALL_BUFFERS))
        assert isinstance(outcome, Delivered)
        assert await taken == MORE_THAN_ALL_BUFFERS


async def test_one_that_breaks_off_in_the_middle_of_its_answer_is_an_outcome_like_any_other() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer(reader, writer, OK + b"Content-Length: 100\r\n\r\nhalf of it")
        # The answer usually arrives meanwhile.
        await asyncio.sleep(0.1)
        reset(writer)

    async with serving(serve) as url, sending(limits=UNHURRIED) as sender:
        outcome = await sender.send(request_to(url, body=MORE_THAN_ALL_BUFFERS))
    assert outcome.kind in {AttemptOutcome.SUCCEEDED, AttemptOutcome.CONNECTION_FAILED}


async def test_an_attempt_that_is_cancelled_meanwhile_leaves_no_connection_behind() -> None:
    over, closed = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer(reader, writer, OK + b"Content-Length: 0\r\n\r\n")
        await over.wait()
        writer.transport.abort()
        closed.set()

    async with serving(serve) as url, sending(limits=UNHURRIED) as sender:
        attempt = asyncio.create_task(sender.send(request_to(url, body=MORE_THAN_ALL_BUFFERS)))
        await until(lambda: OPEN)
        # The answer usually arrives meanwhile.
        await asyncio.sleep(0.1)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        await until(lambda: not OPEN)
        over.set()
        await closed.wait()
