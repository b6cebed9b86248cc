"""A long answer lets other work run before it is ready."""

import asyncio
import gc
from collections import Counter as Counts
from collections.abc import Iterator
from time import thread_time

import pytest

from domain.database import rows
from domain.unit import Actor, Domain
from schema.time_slice import MOST_AT_ONCE, SLICE_SECONDS, TimeSlice
from tests.domain.doing import add_account, write
from tests.schema.conftest import Client
from tests.schema.counting import Counter

ACCOUNTS = 15
ACCOUNT = "accounts { status account { id name username } }"
POSTS = "{ posts(first: 100) { nodes { " + " ".join(f"{name}: {ACCOUNT}" for name in "abcd") + " } } }"
SMALL, LARGE = 0.000_01, 0.001


class Clock:
    """A clock of CPU time, which only `work` spends."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("schema.time_slice.thread_time", clock)
    return clock


@pytest.fixture
def no_collector() -> Iterator[None]:
    """A garbage collection of all that earlier tests left takes longer than many a turn of the loop."""
    gc.disable()
    yield
    gc.enable()


async def turns_of(clock: Clock, costs: list[float]) -> list[int]:
    """The turn of the loop in which each field goes on, if all get what they wait for at the same time."""
    slice_, loop, turn = TimeSlice(), asyncio.get_running_loop(), 0
    loaded = loop.create_future()
    went_on: list[int] = []
    turns: dict[int, int] = {}

    def count_turns() -> None:
        nonlocal turn
        turn += 1
        loop.call_soon(count_turns)

    async def field(number: int, cost: float) -> None:
        await loaded
        await slice_.wait()
        went_on.append(number)
        turns[number] = turn
        clock.work(cost)

    waiting = [asyncio.create_task(field(number, cost)) for number, cost in enumerate(costs)]
    await asyncio.sleep(0)
    count_turns()
    loaded.set_result(None)
    await asyncio.wait(waiting)
    assert went_on == [*range(len(costs))]
    return [turns[number] for number in went_on]


async def test_what_is_within_a_slice_goes_on_in_the_same_turn(clock: Clock) -> None:
    assert len({*await turns_of(clock, [SMALL] * 100)}) == 1


async def test_what_is_beyond_it_goes_on_in_later_turns_and_in_order(clock: Clock) -> None:
    in_a_turn = Counts(await turns_of(clock, [LARGE] * 100)).values()
    # A slice holds ten of them. The others wait no longer than it takes to find that out.
    assert max(in_a_turn) <= 16
    assert len(in_a_turn) <= 25


async def test_small_fields_are_not_held_back_for_the_sake_of_large_ones_before_them(clock: Clock) -> None:
    turns = await turns_of(clock, [LARGE] * 40 + [SMALL] * 1_000)
    assert len({*turns[40:]}) <= 1_000 / MOST_AT_ONCE + 10


async def test_large_fields_go_on_fewer_at_once_after_small_ones(clock: Clock) -> None:
    in_a_turn = [*Counts(await turns_of(clock, [SMALL] * 2_000 + [LARGE] * 200)).values()]
    assert max(in_a_turn[1:]) <= MOST_AT_ONCE
    assert max(in_a_turn[-5:]) <= 16


async def test_who_comes_while_others_wait_goes_on_after_them(clock: Clock) -> None:
    slice_ = TimeSlice()
    went_on: list[int] = []

    async def field(number: int) -> None:
        await slice_.wait()
        went_on.append(number)
        clock.work(2 * SLICE_SECONDS if number == 0 else 0)

    fields = [asyncio.create_task(field(number)) for number in range(20)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.gather(*fields, field(20))
    assert went_on == [*range(21)]


async def test_those_that_were_stopped_while_they_waited_hold_up_nobody(clock: Clock) -> None:
    slice_ = TimeSlice()

    async def field() -> None:
        await slice_.wait()
        clock.work(2 * SLICE_SECONDS)

    first, *stopped, last = [asyncio.create_task(field()) for _ in range(50)]
    await asyncio.sleep(0)
    for task in stopped:
        task.cancel()
    await asyncio.wait_for(asyncio.gather(first, last), 10)


@pytest.mark.usefixtures("no_collector")
async def test_a_long_answer_keeps_the_loop_for_a_part_of_its_time_alone(
    domain: Domain, admin: Actor, ask: Client
) -> None:
    for number in range(ACCOUNTS):
        await add_account(domain, admin, identifier=f"a{number}")
    await write(domain, admin)
    await rows(
        """INSERT INTO post (uuid, workspace_id, status, body, created_at, updated_at, trashed, claim, change)
        SELECT gen_random_uuid(), workspace_id, status, body, now(), now(), false, 0, 0
        FROM post, generate_series(1, 99)"""
    )
    await rows(
        """INSERT INTO post_account (post_id, account_id, status, errors, progress)
        SELECT p.id, a.id, 'pending', '[]', '{}' FROM post p, account a"""
    )
    turns, before = [], thread_time()
    with Counter() as counter:
        answering = asyncio.create_task(ask(POSTS))
        while not answering.done():
            await asyncio.sleep(0)
            now = thread_time()
            turns.append(now - before)
            before = now
    nodes = (await answering)["posts"]["nodes"]
    assert [len(node["d"]) for node in nodes] == [ACCOUNTS] * 100
    assert max(turns) < sum(turns) / 4
    # One statement loads for many of them.
    assert len(counter.statements) < 30
