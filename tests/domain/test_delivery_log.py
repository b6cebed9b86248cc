"""Deliveries as people see them, with what their webhook makes them wait for. No other rows are read."""

import pytest

from domain import delivery_log
from domain.changes import next_attempt_at, waiting_for
from domain.database import rows
from domain.delivery_log import LoggedDelivery
from domain.pages import PageRequest, page
from domain.tables import Delivery
from domain.unit import Actor, Domain
from domain.vocabulary import DeliveryWaitReason
from tests.domain.doing import happen, listen
from tests.domain.explaining import rows_read

DELIVERIES = 300
PAGE = 20


async def only() -> LoggedDelivery:
    return await delivery_log.one((await Delivery.get()).id)


def reason_of(row: LoggedDelivery) -> DeliveryWaitReason | None:
    return waiting_for(row, row["now"])


async def test_a_delivery_knows_its_webhooks_state(domain: Domain, admin: Actor) -> None:
    await listen(domain, admin)
    await happen(domain, admin)
    assert reason_of(await only()) is DeliveryWaitReason.QUEUED
    await rows("UPDATE webhook SET circuit_open_until = now() + interval '1 hour'")
    opened = await only()
    assert reason_of(opened) is DeliveryWaitReason.CIRCUIT_OPEN
    assert next_attempt_at(opened, DeliveryWaitReason.CIRCUIT_OPEN) == opened["circuit_open_until"]
    await rows("UPDATE webhook SET active = false")
    assert reason_of(await only()) is DeliveryWaitReason.WEBHOOK_INACTIVE


async def test_a_delivery_whose_webhook_is_gone_is_still_seen(domain: Domain, admin: Actor) -> None:
    await listen(domain, admin)
    await happen(domain, admin)
    await rows("DELETE FROM webhook")
    assert reason_of(await only()) is DeliveryWaitReason.WEBHOOK_INACTIVE


@pytest.mark.unused_database
async def test_a_page_reads_its_own_rows_whatever_lies_beside_them_and_keeps_their_order(
    domain: Domain, admin: Actor
) -> None:
    for _ in range(3):
        await listen(domain, admin)
    for _ in range(DELIVERIES // 3):
        await happen(domain, admin)
    keys = sorted(await Delivery.all().values_list("id", flat=True))
    mine = Delivery.filter(workspace_id=admin.workspace.id)
    for descending in (True, False):
        async with rows_read("delivery") as count:
            newest = await page(mine, PageRequest(first=PAGE), descending=descending, read=LoggedDelivery.read)
        assert [row.pk for row in newest.nodes] == (keys[::-1] if descending else keys)[:PAGE]
        # Each row counts twice, in the index and in the table; one more row tells whether the list goes on.
        assert count.rows <= 2 * (PAGE + 1)
