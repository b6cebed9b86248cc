"""Erasure: one workspace is removed completely, and its neighbour notices nothing."""

from datetime import timedelta
from typing import Any

import pytest
from tortoise.transactions import in_transaction

from domain import audit, deliveries, erasure, events, publishing, replays, workspaces
from domain.database import now, rows
from domain.erasure import Erased
from domain.errors import Unavailable
from domain.live import ERASED_SECONDS, Change, Order
from domain.live_scripts import SERVED, stream_of
from domain.providers.interface import Rejected
from domain.replays import NewReplay
from domain.settings import Settings
from domain.tables import Workspace
from domain.unit import Actor, Domain, opened
from domain.vocabulary import DeliveryStatus, EventType, Role
from domain.workspaces import NewToken
from tests.away import close, gated
from tests.domain.at_once import beside
from tests.domain.attempting import WELL, record
from tests.domain.doing import add_account, happen, listen, write
from tests.domain.explaining import rows_read

TABLES = (
    "account", "attempt", "audit_event", "delivery", "event", "post", "post_account", "post_change", "replay", "token",
    "unsettled", "webhook", "workspace",
)  # fmt: skip


async def lived_in(domain: Domain, name: str) -> Actor:
    """A workspace with rows in every table, among them a post and a replay that a worker would go on with."""
    actor = Actor(await workspaces.create(name), None, Role.ADMIN)
    async with domain.unit(actor) as unit:
        await workspaces.create_token(unit, NewToken("first", Role.ADMIN))
    webhook = await listen(domain, actor)
    await write(domain, actor, await add_account(domain, actor), scheduled_at=await now() + timedelta(hours=1))
    await happen(domain, actor)
    async with domain.unit(actor) as unit:
        await replays.start(unit, NewReplay(webhook.id, (DeliveryStatus.FAILED,), await now()))
    await rows("UPDATE replay SET finished_at = NULL WHERE workspace_id = $1", actor.workspace.id)
    (claimed, *_) = await deliveries.claim(await ids("delivery"), domain.settings.lease)
    await rows(
        "INSERT INTO attempt (delivery_id, number, started_at, duration_ms, outcome, request_url, request_method,"
        " request_headers) VALUES ($1, 1, now(), 5, 'http_error', 'https://example.com', 'POST', '[]')",
        claimed["id"],
    )
    await rows(
        "INSERT INTO post_change (workspace_id, post_id, change, snapshot) SELECT workspace_id, id, 1, '{}' FROM post"
        " WHERE workspace_id = $1",
        actor.workspace.id,
    )
    await domain.hub.live.open(actor.workspace.id)
    return actor


async def ids(table: str) -> list[int]:
    return [row["id"] for row in await rows(f"SELECT id FROM {table}")]


async def kept() -> dict[str, list[dict[str, Any]]]:
    return {table: [dict(row) for row in await rows(f"SELECT * FROM {table} ORDER BY 1")] for table in TABLES}


async def counted() -> dict[str, int]:
    return {table: len(found) for table, found in (await kept()).items()}


async def test_a_workspace_goes_whole_and_its_neighbour_stays_as_it_was(domain: Domain) -> None:
    await lived_in(domain, "Neighbour")
    neighbours, before = await kept(), await counted()
    leaving = await lived_in(domain, "Leaving")
    grown = await counted()
    assert all(grown[table] > before[table] for table in TABLES)
    told: list[Erased] = []

    removed = await erasure.erase(domain, leaving.workspace, told.append)

    assert await kept() == neighbours
    assert [row["name"] for row in await rows("SELECT name FROM workspace")] == ["Neighbour"]
    stream = stream_of(leaving.workspace.id)
    assert await domain.redis.keys(f"{stream}*") == [f"{stream}:erased".encode()]
    assert 0 < await domain.redis.ttl(f"{stream}:erased") <= ERASED_SECONDS
    children = {"attempt", "post_account", "unsettled"}
    assert removed == sum(grown[table] - before[table] for table in TABLES if table not in children)
    assert told[0] == Erased("delivery", grown["delivery"] - before["delivery"], grown["delivery"] - before["delivery"])


async def test_it_goes_a_page_at_a_time_and_tells_of_each(domain: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domain.erasure.PAGE", 1)
    leaving = await lived_in(domain, "Leaving")
    before = await counted()
    told: list[Erased] = []

    await erasure.erase(domain, leaving.workspace, told.append)

    for table in ("delivery", "event"):
        assert before[table] > 1
        pages = [Erased(table, gone, before[table]) for gone in range(1, before[table] + 1)]
        assert [erased for erased in told if erased.table == table] == pages


@pytest.mark.unused_database
@pytest.mark.parametrize("table", ["audit_event", "post", "replay"])
async def test_what_its_neighbours_have_is_not_searched_for_each_row_that_goes(domain: Domain, table: str) -> None:
    await lived_in(domain, "Neighbour")
    leaving = await lived_in(domain, "Leaving")
    await rows(
        "INSERT INTO token (workspace_id, name, role, prefix, digest, created_at)"
        " SELECT $1, 't', 'admin', 'hl_', sha256(n::text::bytea), now() FROM generate_series(1, 200) n",
        leaving.workspace.id,
    )
    await rows(
        "INSERT INTO webhook (uuid, workspace_id, name, callback_url, method, content_type, events, max_attempts,"
        " active, unreachable_in_a_row, created_at, updated_at) SELECT gen_random_uuid(), $1, '', '', 'POST', '', '{}',"
        " 1, true, 0, now(), now() FROM generate_series(1, 200)",
        leaving.workspace.id,
    )

    async with rows_read(table) as count:
        await erasure.erase(domain, leaving.workspace)

    assert count.rows < 100


async def test_what_was_being_written_as_it_was_closed_goes_too(domain: Domain) -> None:
    leaving = await lived_in(domain, "Leaving")
    async with domain.unit(leaving) as unit:
        await events.record(unit, EventType.ACCOUNT_DELETED, {}, audit.note(unit, "account.delete", leaving.workspace))
        erasing = await beside(erasure.erase(domain, leaving.workspace))
    await erasing

    assert set((await counted()).values()) == {0}


async def test_what_a_worker_is_just_recording_goes_too(domain: Domain) -> None:
    leaving = await lived_in(domain, "Leaving")
    await rows("UPDATE delivery SET status = 'retrying', due_at = now()")
    (claimed, *_) = await deliveries.claim(await ids("delivery"), domain.settings.lease)
    async with in_transaction():
        await record(claimed, WELL)
        erasing = await beside(erasure.erase(domain, leaving.workspace))
    await erasing

    assert set((await counted()).values()) == {0}


async def test_a_post_whose_result_a_worker_is_just_recording_loses_none_of_its_accounts_meanwhile(
    domain: Domain,
) -> None:
    leaving = await lived_in(domain, "Leaving")
    (post_id,) = await ids("post")
    await rows("UPDATE post SET due_at = now()")
    claimed = await publishing.claim(domain, post_id, await now())
    assert claimed is not None
    # As in a workspace that has just been closed: its posts are no longer due.
    await rows("UPDATE post SET due_at = NULL")
    async with in_transaction():
        await rows("SELECT FROM post WHERE id = $1 FOR NO KEY UPDATE", post_id)
        erasing = await beside(erasure.erase(domain, leaving.workspace))
        await publishing.record(domain, claimed, claimed.held[0], Rejected("No."))
    await erasing

    assert set((await counted()).values()) == {0}


async def test_no_live_stream_begins_again_for_who_still_watches_or_tells_late(domain: Domain) -> None:
    leaving = await lived_in(domain, "Leaving")
    change = Change("post", leaving.workspace.id, 1, "uuid", 1, Order.CLEAR, await now(), {})
    await erasure.erase(domain, leaving.workspace)

    assert await domain.hub.live.append([change]) == [False]
    await domain.hub.live.open(leaving.workspace.id)

    assert not await domain.redis.exists(stream_of(leaving.workspace.id))


async def test_without_redis_nothing_is_said_to_be_erased_and_the_workspace_stays(settings: Settings) -> None:
    async with gated(settings) as gates, opened(gates.settings) as domain:
        leaving = Actor(await workspaces.create("Leaving"), None, Role.ADMIN)
        close(gates.redis)

        with pytest.raises(Unavailable, match="Redis"):
            await erasure.erase(domain, leaving.workspace)

        assert await Workspace.exists(id=leaving.workspace.id)


async def test_a_redis_that_serves_another_hookline_keeps_what_it_has_and_holds_nothing_up(domain: Domain) -> None:
    leaving = await lived_in(domain, "Leaving")
    await domain.redis.set(SERVED, "another")
    others = sorted(await domain.redis.keys("*"))

    await erasure.erase(domain, leaving.workspace)

    assert not await Workspace.exists(id=leaving.workspace.id)
    assert sorted(await domain.redis.keys("*")) == others


async def test_it_is_closed_before_anything_is_removed(domain: Domain) -> None:
    leaving = await lived_in(domain, "Leaving")
    seen: list[object] = []

    async def look() -> None:
        seen.append(await rows("SELECT 1 FROM token WHERE revoked_at IS NULL"))
        seen.append(await rows("SELECT 1 FROM webhook WHERE active OR deleted_at IS NULL"))
        seen.append(await rows("SELECT 1 FROM replay WHERE finished_at IS NULL"))
        seen.append(await rows("SELECT 1 FROM post WHERE due_at IS NOT NULL"))

    class Stop(Exception):
        """The power goes."""

    def stop(_: Erased) -> None:
        raise Stop

    try:
        await erasure.erase(domain, leaving.workspace, stop)
    except Stop:
        await look()
    assert seen == [[], [], [], []]
    assert await Workspace.exists(id=leaving.workspace.id)

    await erasure.erase(domain, leaving.workspace)
    assert set((await counted()).values()) == {0}
