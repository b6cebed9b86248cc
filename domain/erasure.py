"""Erasure: one workspace goes whole, with all that was ever delivered for it.

It is closed first, so that nothing new is made and nothing more is sent; then its rows are removed a page at a time,
and the workspace itself last. Whoever is interrupted does it again: what is gone is gone, the rest follows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from redis.exceptions import RedisError

from domain.database import rows, transaction
from domain.errors import Unavailable
from domain.live import ForeignRedis, Live
from domain.tables import Workspace
from domain.unit import Domain

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Erased:
    """So many rows of one table are gone, of so many that there were at the beginning."""

    table: str
    rows: int
    of: int


async def erase(domain: Domain, workspace: Workspace, tell: Callable[[Erased], None] = lambda _: None) -> int:
    """Remove a workspace and everything in it; returns how many rows that were. `tell` hears of every page.

    Raises Unavailable where PostgreSQL or Redis is out of reach: then the workspace is still there.
    """
    await rows(_CLOSE, workspace.id)
    removed = await _remove_deliveries(workspace.id, tell)
    for table, statement in _statements():
        removed += await _remove(table, statement, workspace.id, tell)
    async with transaction():
        # Waits for whoever is still writing in it. What refers to its row goes with it, but for these two.
        await rows("DELETE FROM workspace WHERE id = $1", workspace.id)
        removed += await _remove_deliveries(workspace.id, tell)
        removed += await _remove("event", _EVENTS, workspace.id, tell)
        await _forget(domain.hub.live, workspace.id)
    return removed + 1


async def _forget(live: Live, workspace_id: int) -> None:
    try:
        await live.erase(workspace_id)
    except ForeignRedis:
        return  # it has nothing of ours
    except (RedisError, OSError) as error:
        message = "Redis is out of reach: it still has the live changes of this workspace. Erase it again in a moment."
        raise Unavailable(message) from error


async def _remove_deliveries(workspace_id: int, tell: Callable[[Erased], None]) -> int:
    total, removed = await _count("delivery", workspace_id), 0
    while ids := await _remove_page_of_deliveries(workspace_id):
        removed += len(ids)
        tell(Erased("delivery", removed, max(total, removed)))
    return removed


async def _remove_page_of_deliveries(workspace_id: int) -> list[int]:
    async with transaction():
        # A worker may be recording an attempt: once we hold the delivery it can no longer, and we see what it wrote.
        ids = [row["id"] for row in await rows(_LOCK_DELIVERIES, workspace_id, PAGE)]
        for table, column in (("attempt", "delivery_id"), ("unsettled", "delivery_id"), ("delivery", "id")):
            await rows(f"DELETE FROM {table} WHERE {column} = ANY ($1)", ids)  # noqa: S608 (names of ours)
    return ids


async def _remove(table: str, statement: str, workspace_id: int, tell: Callable[[Erased], None]) -> int:
    total, removed = await _count(table, workspace_id), 0
    while gone := (await rows(statement, workspace_id, PAGE))[0]["count"]:
        removed += gone
        tell(Erased(table, removed, max(total, removed)))
    return removed


async def _count(table: str, workspace_id: int) -> int:
    if table == "post_account":
        return 0
    counted = await rows(f"SELECT count(*) FROM {table} WHERE workspace_id = $1", workspace_id)  # noqa: S608
    total: int = counted[0]["count"]
    return total


def _statements() -> Iterator[tuple[str, str]]:
    """Each table after those that refer to it, with what removes a page of it."""
    yield "post_account", _REMOVE.replace("TABLE", "post_account").replace("WHOSE", _OF_POSTS)
    yield "event", _EVENTS
    for table in ("replay", "post_change", "post", "account", "webhook", "audit_event", "token"):
        yield table, _REMOVE.replace("TABLE", table).replace("WHOSE", "workspace_id = $1")


_CLOSE = """
WITH tokens AS (UPDATE token SET revoked_at = now() WHERE workspace_id = $1 AND revoked_at IS NULL),
replays AS (UPDATE replay SET finished_at = now() WHERE workspace_id = $1 AND finished_at IS NULL),
posts AS (UPDATE post SET due_at = NULL WHERE workspace_id = $1 AND due_at IS NOT NULL)
UPDATE webhook SET active = false, deleted_at = now() WHERE workspace_id = $1 AND deleted_at IS NULL
"""

_LOCK_DELIVERIES = "SELECT id FROM delivery WHERE workspace_id = $1 ORDER BY id LIMIT $2 FOR UPDATE"

_OF_POSTS = "post_id IN (SELECT id FROM post WHERE workspace_id = $1)"

_REMOVE = """
WITH gone AS (
    DELETE FROM TABLE WHERE id IN (SELECT id FROM TABLE WHERE WHOSE ORDER BY id LIMIT $2) RETURNING id
)
SELECT count(*) AS count FROM gone
"""

_EVENTS = _REMOVE.replace("TABLE", "event").replace("WHOSE", "workspace_id = $1")
