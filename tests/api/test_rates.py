"""Counting together is counting: cheaper, and not a hit more or less."""

import asyncio
import time
from dataclasses import replace

import pytest

from api.rates import RateLimited, Rates, Tally
from domain.settings import Settings


@pytest.mark.usefixtures("patient_rates")
async def test_of_many_requests_at_once_as_many_pass_as_may(settings: Settings) -> None:
    rates = Rates(replace(settings, requests_per_minute=70))
    try:
        found = await asyncio.gather(*(rates.count_request(1 + n % 2) for n in range(200)), return_exceptions=True)
    finally:
        await rates.close()
    assert [type(each) for each in found].count(RateLimited) == 200 - 2 * 70
    assert [n for n, each in enumerate(found) if each is None] == list(range(140))


async def test_a_blocked_address_is_told_to_wait_for_a_second_at_least(settings: Settings) -> None:
    rates = Rates(settings)
    try:
        rates._blocked["192.0.2.7"] = time.monotonic() + 0.4
        with pytest.raises(RateLimited) as refused:
            rates.check_address("192.0.2.7")
    finally:
        await rates.close()
    assert refused.value.retry_after == 1


async def test_hits_that_come_while_others_are_counted_share_one_question() -> None:
    asked = []
    answered = asyncio.Event()

    async def count(hits: int) -> int:
        asked.append(hits)
        await answered.wait()
        return sum(asked)

    tally = Tally()
    hits = [asyncio.create_task(tally.hit(count)) for _ in range(10)]
    while not asked:
        await asyncio.sleep(0)
    later = [asyncio.create_task(tally.hit(count)) for _ in range(5)]
    await asyncio.sleep(0)
    answered.set()
    assert await asyncio.gather(*hits, *later) == list(range(1, 16))
    assert len(asked) <= 3
    assert sum(asked) == 15


@pytest.mark.parametrize("given_up", [0, 1, 4])
async def test_one_who_gives_up_leaves_the_others_counted(given_up: int) -> None:
    asked = []
    answered = asyncio.Event()

    async def count(hits: int) -> int:
        asked.append(hits)
        await answered.wait()
        return hits

    tally = Tally()
    hits = [asyncio.create_task(tally.hit(count)) for _ in range(5)]
    while not asked:
        await asyncio.sleep(0)
    hits[given_up].cancel()
    await asyncio.sleep(0)
    answered.set()
    found = await asyncio.gather(*hits, return_exceptions=True)
    assert [type(each) for each in found].count(asyncio.CancelledError) == 1
    # At worst, those who asked with the one who left are counted again; nobody is let off.
    assert all(isinstance(each, int) for n, each in enumerate(found) if n != given_up)
