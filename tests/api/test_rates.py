"""Hits that are counted together cost less, and not one is counted more or less."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from api.rates import WINDOW_SECONDS, RateLimited, Rates, Tally
from domain.settings import Settings


@asynccontextmanager
async def counting(settings: Settings) -> AsyncIterator[Rates]:
    """The rates of one process."""
    rates = Rates(settings)
    try:
        yield rates
    finally:
        await rates.close()


@pytest.mark.usefixtures("patient_rates")
@pytest.mark.parametrize("silent", [False, True], ids=["in Redis", "where Redis is silent"])
async def test_of_many_requests_at_once_as_many_pass_as_may(
    settings: Settings, silent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Redis.from_url(settings.redis_url) as redis:
        if silent:
            monkeypatch.setattr("api.rates.ANSWER_SECONDS", 0.05)
            await redis.client_pause(60_000, all=False)
        try:
            async with counting(replace(settings, requests_per_minute=70)) as rates:
                asked = (rates.count_request(1 + n % 2) for n in range(200))
                found = await asyncio.gather(*asked, return_exceptions=True)
        finally:
            await redis.client_unpause()
    assert [type(each) for each in found].count(RateLimited) == 200 - 2 * 70
    assert [n for n, each in enumerate(found) if each is None] == list(range(140))


async def test_a_blocked_address_is_told_to_wait_for_a_second_at_least(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with counting(settings) as rates:
        monkeypatch.setattr("api.rates.time", SimpleNamespace(monotonic=lambda: 7.0))
        rates._blocked["192.0.2.7"] = 7.4
        with pytest.raises(RateLimited) as refused:
            rates.check_address("192.0.2.7")
    assert refused.value.retry_after == 1


@pytest.mark.usefixtures("patient_rates")
async def test_who_is_refused_is_told_to_wait_for_what_is_left_of_the_minute(settings: Settings) -> None:
    async with counting(replace(settings, requests_per_minute=1)) as rates, Redis.from_url(settings.redis_url) as redis:
        await rates.count_request(1)
        (key,) = await redis.keys("*")
        assert 0 < await redis.ttl(key) <= 60
        await redis.expire(key, 40)
        with pytest.raises(RateLimited) as refused:
            await rates.count_request(1)
    assert 1 < refused.value.retry_after <= 40


@pytest.mark.usefixtures("patient_rates")
async def test_failures_in_one_network_of_ipv6_block_all_of_it(settings: Settings) -> None:
    async with counting(replace(settings, failed_logins_per_minute=1)) as rates:
        await rates.count_failure("2001:db8::1")
        with pytest.raises(RateLimited) as counted:
            await rates.count_failure("2001:db8::2")
        with pytest.raises(RateLimited) as checked:
            rates.check_address("2001:db8::3")
        rates.check_address("2001:db8:0:1::1")
    assert counted.value.retry_after > 1
    assert checked.value.retry_after > 1


async def test_an_address_that_was_blocked_may_try_again_after_its_time(settings: Settings) -> None:
    async with counting(settings) as rates:
        rates._blocked["192.0.2.7"] = time.monotonic() - 1
        rates.check_address("192.0.2.7")


async def test_no_more_addresses_are_blocked_than_shall_be(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.rates.MOST_BLOCKED", 2)
    async with counting(replace(settings, failed_logins_per_minute=1)) as rates:
        for number in range(1, 6):
            await rates.count_failure(f"192.0.2.{number}")
            with pytest.raises(RateLimited):
                await rates.count_failure(f"192.0.2.{number}")
            with pytest.raises(RateLimited):
                rates.check_address(f"192.0.2.{number}")
            assert len(rates._blocked) <= 2


async def test_a_redis_that_was_away_is_left_alone_for_a_while_and_then_asked_again(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.rates.PAUSE_SECONDS", 3_600.0)
    place = tmp_path / "redis.sock"
    async with counting(replace(settings, redis_url=f"unix://{place}", requests_per_minute=1)) as rates:
        # As if Redis went away between counting and this question.
        assert await rates._wait(rates._requests, "1") == WINDOW_SECONDS
        await rates.count_request(1)
        place.symlink_to(urlsplit(settings.redis_url).path)
        with pytest.raises(RateLimited) as refused:
            await rates.count_request(1)
        assert refused.value.retry_after > 1
        assert rates._alone_until < time.monotonic() + 3_600
        monkeypatch.setattr(rates, "_alone_until", time.monotonic())
        await rates.count_request(1)
        with pytest.raises(RateLimited):
            await rates.count_request(1)


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
    # At worst, hits that were counted together with the cancelled one are counted again; none goes uncounted.
    assert all(isinstance(each, int) for n, each in enumerate(found) if n != given_up)
