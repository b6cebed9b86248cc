"""Deadlines hold even if the late work does not stop."""

import asyncio
import gc

import pytest

from api import deadline
from api.deadline import Late, within
from tests.waiting import until


async def test_what_is_done_in_time_gives_its_result_or_its_error() -> None:
    async def fail() -> None:
        raise KeyError

    assert await within(30, asyncio.sleep(0, "done")) == "done"
    with pytest.raises(KeyError):
        await within(30, fail())


@pytest.mark.parametrize("given_up", [False, True], ids=["late", "given up"])
async def test_what_does_not_stop_is_left_to_itself_and_forgotten_once_it_has_ended(
    given_up: bool, caplog: pytest.LogCaptureFixture
) -> None:
    begun, stopping, may_end = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopping.set()
            await may_end.wait()
            raise OSError from None

    asked = asyncio.create_task(within(30 if given_up else 0.01, stubborn()))
    await begun.wait()
    if given_up:
        asked.cancel()
    with pytest.raises(asyncio.CancelledError if given_up else Late):
        await asked
    async with asyncio.timeout(30):
        await stopping.wait()
    assert len(deadline._abandoned) == 1
    may_end.set()
    await until(lambda: not deadline._abandoned)
    gc.collect()
    assert caplog.records == []


async def test_what_stops_is_forgotten_and_nothing_is_said_of_it(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Late):
        await within(0.01, asyncio.Event().wait())
    await until(lambda: not deadline._abandoned)
    gc.collect()
    assert caplog.records == []
