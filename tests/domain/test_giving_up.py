"""Giving up on an endpoint: after days of nothing but failures, or once it says that it is gone."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.database import rows
from domain.outcome import Outcome
from domain.tables import Webhook
from domain.unit import Actor, Domain
from domain.vocabulary import WebhookDisabledReason
from tests.domain.doing import listen
from tests.domain.noting import BLOCKED, ERROR, GONE, LIMIT, OURS, SLACK, WELL, note

WEEK = timedelta(days=7)


@pytest.fixture
async def webhook(domain: Domain, admin: Actor) -> Webhook:
    return await listen(domain, admin)


async def failing_for(webhook: Webhook, span: timedelta) -> None:
    await rows("UPDATE webhook SET failing_since = now() - $2::interval WHERE id = $1", webhook.id, span)


async def test_failing_begins_with_the_first_failure_and_ends_with_a_success(webhook: Webhook) -> None:
    await note(webhook, ERROR)
    await webhook.refresh_from_db()
    since = webhook.failing_since
    assert since
    await note(webhook, BLOCKED)
    await webhook.refresh_from_db()
    assert webhook.failing_since == since

    await note(webhook, ERROR, WELL)

    await webhook.refresh_from_db()
    assert webhook.failing_since is None


async def test_only_failures_for_days_disable_it_and_it_is_told_once(webhook: Webhook) -> None:
    await failing_for(webhook, LIMIT - timedelta(minutes=1))
    state = await note(webhook, ERROR)
    assert state
    assert state.active
    await failing_for(webhook, LIMIT)

    states = [await note(webhook, ERROR) for _ in range(2)]

    assert [state.was_disabled for state in states if state] == [True, False]
    await webhook.refresh_from_db()
    assert (webhook.active, webhook.disabled_reason) == (False, WebhookDisabledReason.FAILING)
    assert webhook.disabled_at


async def test_of_a_time_in_which_nothing_was_sent_a_day_counts_as_failing(webhook: Webhook) -> None:
    async def a_week_later() -> timedelta:
        await rows(
            "UPDATE webhook SET failing_since = failing_since - $1::interval, failed_at = now() - $1::interval", WEEK
        )
        await note(webhook, ERROR)
        await webhook.refresh_from_db()
        assert webhook.failing_since
        return datetime.now(UTC) - webhook.failing_since

    await note(webhook, ERROR)
    for day in range(1, LIMIT.days):
        assert timedelta(days=day) <= await a_week_later() < timedelta(days=day) + SLACK
        assert webhook.active

    await a_week_later()
    assert webhook.disabled_reason == WebhookDisabledReason.FAILING


async def test_a_success_after_days_of_failures_keeps_it(webhook: Webhook) -> None:
    await failing_for(webhook, LIMIT * 2)

    await note(webhook, WELL)
    await note(webhook, ERROR)

    await webhook.refresh_from_db()
    assert webhook.active


async def test_an_attempt_that_this_machine_could_not_make_disables_nobody(webhook: Webhook) -> None:
    await failing_for(webhook, LIMIT * 2)

    state = await note(webhook, OURS)

    assert state
    assert state.active


@pytest.mark.parametrize("outcome", [GONE, ERROR])
async def test_who_was_given_up_on_is_not_taken_back_by_what_comes_later(webhook: Webhook, outcome: Outcome) -> None:
    await failing_for(webhook, LIMIT)
    await note(webhook, outcome)
    await webhook.refresh_from_db()
    reason, at = webhook.disabled_reason, webhook.disabled_at

    for later in (WELL, ERROR, GONE, OURS):
        await failing_for(webhook, LIMIT)
        state = await note(webhook, later)
        assert state
        assert not state.was_disabled

    await webhook.refresh_from_db()
    assert (webhook.active, webhook.disabled_reason, webhook.disabled_at) == (False, reason, at)


async def test_gone_counts_whatever_others_of_its_group_came_to(webhook: Webhook) -> None:
    state = await note(webhook, WELL, GONE, WELL, ERROR)

    assert state
    assert (state.active, state.disabled_reason) == (False, WebhookDisabledReason.GONE)
