"""A long answer lets others in before it is ready."""

import asyncio
from time import thread_time

from domain.database import rows
from domain.unit import Actor, Domain
from schema.time_slice import SLICE_SECONDS, TimeSlice
from tests.domain.doing import add_account, write
from tests.schema.conftest import Client
from tests.schema.counting import Counter

ACCOUNTS = 15
ACCOUNT = "accounts { status account { id name username } }"
POSTS = "{ posts(first: 100) { nodes { " + " ".join(f"{name}: {ACCOUNT}" for name in "abcd") + " } } }"
MILLISECOND = 0.001


def work(seconds: float) -> None:
    """Take that much CPU."""
    end = thread_time() + seconds
    while thread_time() < end:
        pass


async def fields(slice_: TimeSlice, count: int, seconds: float) -> list[tuple[int, int]]:
    """So many that all got at once what they waited for, as (its number, the turn of the loop in which it went on)."""
    loop, turn, found = asyncio.get_running_loop(), 0, []
    loaded = loop.create_future()

    def count_turns() -> None:
        nonlocal turn
        turn += 1
        loop.call_soon(count_turns)

    async def field(number: int) -> None:
        await loaded
        await slice_.wait()
        found.append((number, turn))
        work(seconds)

    waiting = [asyncio.create_task(field(number)) for number in range(count)]
    await asyncio.sleep(0)
    count_turns()
    loaded.set_result(None)
    await asyncio.wait(waiting)
    return found


async def test_what_is_within_a_slice_goes_on_in_the_same_turn() -> None:
    found = await fields(TimeSlice(), 100, 0)
    assert len({turn for _, turn in found}) == 1


async def test_what_is_beyond_it_goes_on_in_later_turns_and_in_order() -> None:
    count = 100
    found = await fields(TimeSlice(), count, MILLISECOND)
    assert [number for number, _ in found] == [*range(count)]
    in_a_turn = [sum(turn == each for _, turn in found) for each in {turn for _, turn in found}]
    # A slice holds ten of them, and a turn begins with what it wakes for the next one.
    assert max(in_a_turn) <= 2 * SLICE_SECONDS / MILLISECOND + 1
    assert len(in_a_turn) >= count * MILLISECOND / SLICE_SECONDS / 2


async def test_small_fields_are_not_held_back_for_the_sake_of_large_ones_before_them() -> None:
    slice_ = TimeSlice()
    await fields(slice_, 40, MILLISECOND)
    found = await fields(slice_, 1_000, MILLISECOND / 100)
    assert len({turn for _, turn in found}) < 20


async def test_those_that_were_stopped_while_they_waited_hold_up_nobody() -> None:
    slice_ = TimeSlice()

    async def field() -> None:
        await slice_.wait()
        work(2 * SLICE_SECONDS)

    first, *stopped, last = [asyncio.create_task(field()) for _ in range(50)]
    await asyncio.sleep(0)
    for task in stopped:
        task.cancel()
    await asyncio.wait_for(asyncio.gather(first, last), 10)


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
    # What is loaded for one of them is loaded for many.
    assert len(counter.statements) < 30
