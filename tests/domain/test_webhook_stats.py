"""Statistics of webhooks."""

from datetime import UTC, datetime, timedelta

import pytest

from domain import webhook_stats
from domain.tables import Attempt, Delivery
from domain.unit import Actor, Domain
from domain.vocabulary import AttemptOutcome, DeliveryStatus, HttpMethod
from domain.webhook_stats import Stats
from tests.clocks import shift
from tests.domain.doing import happen, listen

NOW = datetime.now(UTC)


async def test_stats_count_each_webhook_s_own_deliveries(domain: Domain, admin: Actor) -> None:
    busy, idle = await listen(domain, admin), await listen(domain, admin, active=False)
    for number in range(4):
        await happen(domain, admin)
        delivery = await Delivery.all().order_by("-id").first()
        assert delivery is not None
        if number < 3:
            await finish(delivery, succeeded=number > 0, milliseconds=(number + 1) * 100)
    found = await webhook_stats.read([busy.id, idle.id], None, None)
    assert found[idle.id] == Stats()
    stats = found[busy.id]
    assert (stats.deliveries, stats.succeeded, stats.failed, stats.pending, stats.attempts) == (4, 2, 1, 1, 3)
    assert stats.success_rate == pytest.approx(2 / 3)
    assert stats.p50_ms == 250
    assert stats.p99_ms == pytest.approx(299)
    assert (await webhook_stats.read([busy.id], NOW + timedelta(days=1), None))[busy.id] == Stats()


async def test_without_an_end_the_newest_count_though_this_machine_s_clock_is_behind(
    domain: Domain, admin: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    shift(monkeypatch, "domain.webhook_stats", -timedelta(hours=1))
    webhook = await listen(domain, admin)
    await happen(domain, admin)
    assert (await webhook_stats.read([webhook.id], None, None))[webhook.id].deliveries == 1


async def finish(delivery: Delivery, *, succeeded: bool, milliseconds: int) -> None:
    status = DeliveryStatus.SUCCEEDED if succeeded else DeliveryStatus.FAILED
    await Delivery.filter(id=delivery.id).update(status=status, finished_at=NOW)
    await Attempt.create(
        delivery_id=delivery.id,
        number=1,
        started_at=NOW,
        duration_ms=milliseconds,
        outcome=AttemptOutcome.SUCCEEDED if succeeded else AttemptOutcome.TIMED_OUT,
        request_url="x",
        request_method=HttpMethod.POST,
        request_headers="[]",
        response_status=200 if succeeded else None,
    )
