"""Rows that domain/reading.py reads equal the rows that Tortoise reads."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tortoise.models import Model

from domain import replays, tables, workspaces
from domain.database import rows
from domain.reading import read, select
from domain.replays import NewReplay
from domain.tables import Delivery, Webhook
from domain.unit import Actor, Domain
from domain.vocabulary import DeliveryStatus, EventType, Role
from domain.workspaces import NewToken
from tests.domain.doing import add_account, happen, listen, write
from tests.schema.world import attempted

TABLES: list[type[Model]] = [getattr(tables, name) for name in tables.__all__]


def told(row: Model) -> dict[str, Any]:
    """All that a row holds, including what Tortoise notes of it besides its columns."""
    return dict(vars(row))


async def one_of_everything(domain: Domain, admin: Actor) -> None:
    """Rows in every table."""
    webhook = await listen(domain, admin, secret="s3cret", headers=(("X-Team", "a"),))
    await write(domain, admin, await add_account(domain, admin))
    await attempted((await Delivery.filter(webhook_id=webhook.id))[0])
    async with domain.unit(admin) as unit:
        await workspaces.create_token(unit, NewToken("first", Role.ADMIN))
        since = datetime.now(UTC) - timedelta(days=1)
        await replays.start(unit, NewReplay(webhook.id, (DeliveryStatus.FAILED,), since))


async def test_every_row_of_every_table_is_the_same(domain: Domain, admin: Actor) -> None:
    await one_of_everything(domain, admin)
    for table in TABLES:
        name, key = table._meta.db_table, table._meta.pk_attr
        usual = [told(row) for row in await table.all().order_by(key)]
        assert usual, f"nothing in {name}"
        short = await read(table, f"SELECT * FROM {name} ORDER BY {table._meta.db_pk_column}")
        assert [told(row) for row in short] == usual, name
        assert {type(row) for row in short} == {table}
        assert [told(row) for row in await select(table.all().order_by(key))] == usual


@pytest.mark.parametrize("size", [0, 1, 3])
async def test_a_queryset_is_read_with_its_conditions_order_and_limit(domain: Domain, admin: Actor, size: int) -> None:
    await listen(domain, admin)
    for _ in range(3):
        await happen(domain, admin)
    wanted = Delivery.filter(status__in=[DeliveryStatus.PENDING], event_type=EventType.ACCOUNT_DELETED)

    found = await select(wanted.order_by("-id").limit(size))

    assert [row.id for row in found] == [row.id for row in await wanted.order_by("-id").limit(size)]
    assert len(found) == size


async def test_a_row_can_be_changed_and_saved_like_any_other(domain: Domain, admin: Actor) -> None:
    made = await listen(domain, admin)
    (row,) = await select(Webhook.filter(id=made.id))

    row.name = "Another"
    await row.save(update_fields=["name"])

    assert (await Webhook.get(id=made.id)).name == "Another"


async def test_a_column_that_this_version_does_not_know_is_left_out(domain: Domain, admin: Actor) -> None:
    made = await listen(domain, admin)
    await rows("ALTER TABLE webhook ADD COLUMN of_the_next_version int NOT NULL DEFAULT 1")

    (row,) = await read(Webhook, "SELECT * FROM webhook")

    assert told(row) == told(await Webhook.get(id=made.id))
