"""The health of an endpoint: after failures to reach it, it is spared until a probe is answered."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from tortoise.transactions import in_transaction

from domain import health
from domain.database import rows
from domain.health import FIRST_PAUSE, LONGEST_PAUSE, OPENS_AFTER
from domain.outcome import Failed, Outcome
from domain.tables import Webhook
from domain.unit import Actor, Domain
from domain.vocabulary import AttemptOutcome
from tests.domain.at_once import beside
from tests.domain.doing import listen
from tests.domain.noting import BLOCKED, ERROR, LIMIT, OURS, SLACK, TIMED_OUT, TOOK, WELL, note, sign


@pytest.fixture
async def webhook(domain: Domain, admin: Actor) -> Webhook:
    return await listen(domain, admin)


async def pause_of(webhook: Webhook) -> timedelta:
    await webhook.refresh_from_db()
    assert webhook.circuit_open_until, "the circuit is closed"
    return webhook.circuit_open_until - datetime.now(UTC)


async def open_circuit(webhook: Webhook) -> None:
    await note(webhook, *[TIMED_OUT] * OPENS_AFTER)
    await pause_of(webhook)


async def is_open(webhook: Webhook) -> bool:
    await webhook.refresh_from_db()
    return webhook.circuit_open_until is not None


async def test_failures_to_reach_it_in_a_row_open_its_circuit(webhook: Webhook) -> None:
    for number in range(1, OPENS_AFTER + 1):
        state = await note(webhook, TIMED_OUT)
        assert state
        assert (state.was_opened, await is_open(webhook)) == (number == OPENS_AFTER, number == OPENS_AFTER)

    assert FIRST_PAUSE - SLACK < await pause_of(webhook) <= FIRST_PAUSE


@pytest.mark.parametrize("kind", ["timed_out", "connection_failed", "dns_failed", "tls_failed"])
async def test_every_way_not_to_be_reached_counts(webhook: Webhook, kind: str) -> None:
    await note(webhook, *[Failed(AttemptOutcome(kind), "?", TOOK)] * OPENS_AFTER)

    assert await is_open(webhook)


@pytest.mark.parametrize("outcome", [ERROR, BLOCKED, OURS, Failed(AttemptOutcome.INVALID_RESPONSE, "?", TOOK)])
async def test_what_is_no_failure_to_reach_it_does_not_open_it(webhook: Webhook, outcome: Outcome) -> None:
    for _ in range(3):
        await note(webhook, *[outcome] * OPENS_AFTER)

    assert not await is_open(webhook)


@pytest.mark.parametrize("answer", [WELL, ERROR])
async def test_any_answer_begins_the_count_anew(webhook: Webhook, answer: Outcome) -> None:
    await note(webhook, *[TIMED_OUT] * (OPENS_AFTER - 1))
    await note(webhook, answer, TIMED_OUT)
    await note(webhook, *[TIMED_OUT] * (OPENS_AFTER - 1))

    assert not await is_open(webhook)


async def test_an_attempt_that_this_machine_could_not_make_changes_nothing(webhook: Webhook) -> None:
    assert await note(webhook, OURS) is None
    await webhook.refresh_from_db()
    assert (webhook.failing_since, webhook.unreachable_in_a_row) == (None, 0)


async def test_each_probe_that_fails_doubles_the_pause_up_to_the_longest(webhook: Webhook) -> None:
    await open_circuit(webhook)
    for factor in (2, 4, 8, 16):
        state = await note(webhook, TIMED_OUT)
        assert state
        assert not state.was_opened
        assert FIRST_PAUSE * factor - SLACK < await pause_of(webhook) <= FIRST_PAUSE * factor

    for _ in range(20):
        await note(webhook, TIMED_OUT)
    # As of an endpoint that has been gone for months: a pause that kept doubling would fit into no interval.
    await rows("UPDATE webhook SET unreachable_in_a_row = 30000")
    await note(webhook, TIMED_OUT)
    assert LONGEST_PAUSE - SLACK < await pause_of(webhook) <= LONGEST_PAUSE


@pytest.mark.parametrize("answer", [WELL, ERROR])
async def test_a_probe_that_is_answered_closes_the_circuit(webhook: Webhook, answer: Outcome) -> None:
    await open_circuit(webhook)

    state = await note(webhook, answer)

    assert state
    assert state.circuit_open_until is None
    await webhook.refresh_from_db()
    assert webhook.unreachable_in_a_row == 0


async def test_a_probe_that_this_machine_could_not_make_is_made_again_after_the_same_pause(webhook: Webhook) -> None:
    await open_circuit(webhook)
    await rows("UPDATE webhook SET circuit_open_until = now()")

    await note(webhook, OURS)

    assert FIRST_PAUSE - SLACK < await pause_of(webhook) <= FIRST_PAUSE


async def test_what_was_under_way_when_the_circuit_opened_does_not_move_it(webhook: Webhook) -> None:
    before = await sign(webhook, TIMED_OUT)
    await open_circuit(webhook)
    until = webhook.circuit_open_until

    await health.note([before] * 20, LIMIT)

    await webhook.refresh_from_db()
    assert webhook.circuit_open_until == until
    await note(webhook, TIMED_OUT)
    assert await pause_of(webhook) <= FIRST_PAUSE * 2, "nor is the pause after the next probe longer for it"


async def test_a_probe_counts_whatever_ends_with_it(webhook: Webhook) -> None:
    slow, late = await sign(webhook, TIMED_OUT), await sign(webhook, WELL)
    await open_circuit(webhook)

    await health.note([await sign(webhook, TIMED_OUT), slow], LIMIT)
    assert await pause_of(webhook) > FIRST_PAUSE

    await health.note([await sign(webhook, WELL), late], LIMIT)
    assert not await is_open(webhook)


async def test_however_many_end_together_the_first_pause_is_the_shortest(webhook: Webhook) -> None:
    await note(webhook, *[TIMED_OUT] * OPENS_AFTER * 4)

    assert await pause_of(webhook) <= FIRST_PAUSE


async def test_a_group_that_ends_while_another_is_noted_is_counted_after_it(webhook: Webhook) -> None:
    before = await sign(webhook, TIMED_OUT)
    async with in_transaction():
        await health.note([before], LIMIT)
        second = await beside(health.note([before], LIMIT))
    await second

    await webhook.refresh_from_db()
    assert webhook.unreachable_in_a_row == 2


async def test_groups_that_end_at_once_are_all_counted(webhook: Webhook) -> None:
    before = await sign(webhook, TIMED_OUT)
    await asyncio.gather(*(health.note([before], LIMIT) for _ in range(OPENS_AFTER - 1)))
    await webhook.refresh_from_db()
    assert (webhook.unreachable_in_a_row, await is_open(webhook)) == (OPENS_AFTER - 1, False)

    states = await asyncio.gather(*(health.note([before], LIMIT) for _ in range(5)))

    assert await is_open(webhook)
    assert sum(state[webhook.id].was_opened for state in states) == 1, "it is told once"


async def test_groups_of_the_same_webhooks_in_any_order_do_not_lock_each_other_out(
    domain: Domain, admin: Actor
) -> None:
    several = [await sign(await listen(domain, admin), ERROR) for _ in range(20)]

    groups = [several, several[::-1]] * 10
    await asyncio.gather(*(health.note(group, LIMIT) for group in groups))

    assert await Webhook.filter(failing_since=None).count() == 0


async def test_successes_of_a_healthy_endpoint_touch_no_row(webhook: Webhook) -> None:
    before = await rows("SELECT xmin::text FROM webhook")

    assert await note(webhook, WELL, WELL) is None
    assert await rows("SELECT xmin::text FROM webhook") == before


async def test_one_endpoints_failures_are_not_anothers(domain: Domain, admin: Actor, webhook: Webhook) -> None:
    other = await listen(domain, admin)
    signs = [await sign(webhook, TIMED_OUT)] * OPENS_AFTER

    states = await health.note([*signs, await sign(other, ERROR)], LIMIT)

    assert {id_: state.was_opened for id_, state in states.items()} == {webhook.id: True, other.id: False}
