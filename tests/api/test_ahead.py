"""Work on several entries at a time gives its results in order, and leaves nothing behind."""

import asyncio
import gc
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from weakref import ref

import pytest

from api import ahead
from api.ahead import in_order

AT_ONCE = 4


async def numbers(ended: list[str]) -> AsyncGenerator[int, None]:
    try:
        for number in range(10):
            yield number
    finally:
        ended.append("numbers")


async def test_the_quicker_one_waits_for_those_before_it_and_no_more_are_begun_than_may_be() -> None:
    under_way: set[int] = set()
    most = 0

    async def work(number: int) -> int:
        nonlocal most
        under_way.add(number)
        most = max(most, len(under_way))
        for _ in range(AT_ONCE - number % AT_ONCE):
            await asyncio.sleep(0)
        under_way.remove(number)
        return number

    async with aclosing(in_order(numbers([]), work, AT_ONCE)) as found:
        assert [number async for number in found] == list(range(10))
    assert 1 < most <= AT_ONCE


async def test_what_fails_is_raised_after_all_that_comes_before_it_and_the_rest_is_ended() -> None:
    ended: list[str] = []
    begun: list[str] = []
    others = asyncio.Event()

    async def work(number: int) -> int:
        if number < 2:
            return number
        if number == 2:
            await others.wait()
            raise ValueError("the third")
        begun.append(str(number))
        others.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(str(number))
        return number

    async with aclosing(in_order(numbers(ended), work, AT_ONCE)) as found:
        assert [await anext(found), await anext(found)] == [0, 1]
        with pytest.raises(ValueError, match="the third"):
            await anext(found)
    assert begun
    assert sorted(ended) == sorted([*begun, "numbers"])
    assert not ahead._endings


async def test_what_the_entries_raise_comes_last() -> None:
    async def entries() -> AsyncGenerator[int, None]:
        yield 1
        raise OSError("gone")

    async def work(number: int) -> int:
        await asyncio.sleep(0)
        return number

    async with aclosing(in_order(entries(), work, AT_ONCE)) as found:
        assert await anext(found) == 1
        with pytest.raises(OSError, match="gone"):
            await anext(found)


class BrokenError(Exception):
    """Other than those of Python, it can be referred to weakly."""


async def broken_entries() -> AsyncGenerator[bool, None]:
    raise BrokenError
    yield True


async def an_entry() -> AsyncGenerator[bool, None]:
    yield True


@pytest.mark.parametrize("entries", [broken_entries, an_entry])
async def test_what_is_raised_is_gone_without_the_collector_of_garbage(
    entries: Callable[[], AsyncGenerator[bool, None]],
) -> None:
    async def work(_: bool) -> None:
        raise BrokenError

    gc.disable()
    try:
        await anext(in_order(entries(), work, AT_ONCE))
    except BrokenError as error:
        raised = ref(error)
    finally:
        gc.enable()
    assert raised() is None
