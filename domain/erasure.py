"""Erasure: removes a whole workspace, with all that was ever delivered for it.

It is closed first, so that nothing new is made and nothing more is sent; then its rows are removed a page at a time,
and the workspace itself last. An interrupted erasure can be started again, and removes the rest.
"""

from collections.abc import Callable
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
    """The progress in one table: of the `of` rows that it had at the beginning, `rows` are gone."""

    table: str
    rows: int
    of: int


async def erase(domain: Domain, workspace: Workspace, tell: Callable[[Erased], None] = lambda _: None) -> int:
    """Remove a workspace and everything in it. `tell` is called after every page.

    Returns how many rows were removed, not counting those of `attempt`, `unsettled` and `post_account`.
    Raises Unavailable if PostgreSQL or Redis is out of reach: then the workspace is still there.
    """
    await rows(_CLOSE, workspace.id)
    removed = await _remove_with_parts("delivery", workspace.id, tell)
    removed += await _remove_with_parts("post", workspace.id, tell)
    for table in _TABLES:
        removed += await _remove(table, workspace.id, tell)
    async with transaction():
        # Waits for transactions that still write in it. Rows that refer to it go with it, except in these two tables.
        await rows("DELETE FROM workspace WHERE id = $1", workspace.id)
        removed += await _remove_with_parts("delivery", workspace.id, tell)
        removed += await _remove("event", workspace.id, tell)
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


async def _remove_with_parts(table: str, workspace_id: int, tell: Callable[[Erased], None]) -> int:
    total, removed = await _count(table, workspace_id), 0
    while ids := await _remove_page_with_parts(table, workspace_id):
        removed += len(ids)
        tell(Erased(table, removed, max(total, removed)))
    return removed


async def _remove_page_with_parts(table: str, workspace_id: int) -> list[int]:
    async with transaction():
        # A worker may be recording an attempt, or a post. Once we hold the rows it no longer can, and we see what it
        # wrote.
        ids = [row["id"] for row in await rows(_LOCK.replace("TABLE", table), workspace_id, PAGE)]
        for part, column in (*_PARTS[table], (table, "id")):
            await rows(f"DELETE FROM {part} WHERE {column} = ANY ($1)", ids)  # noqa: S608 (names of ours)
    return ids


async def _remove(table: str, workspace_id: int, tell: Callable[[Erased], None]) -> int:
    total, removed = await _count(table, workspace_id), 0
    statement = _REMOVE.replace("TABLE", table)
    while gone := (await rows(statement, workspace_id, PAGE))[0]["count"]:
        removed += gone
        tell(Erased(table, removed, max(total, removed)))
    return removed


async def _count(table: str, workspace_id: int) -> int:
    counted = await rows(f"SELECT count(*) FROM {table} WHERE workspace_id = $1", workspace_id)  # noqa: S608
    total: int = counted[0]["count"]
    return total


_CLOSE = """
WITH tokens AS (UPDATE token SET revoked_at = now() WHERE workspace_id = $1 AND revoked_at IS NULL),
replays AS (UPDATE replay SET finished_at = now() WHERE workspace_id = $1 AND finished_at IS NULL),
posts AS (UPDATE post SET due_at = NULL WHERE workspace_id = $1 AND due_at IS NOT NULL)
UPDATE webhook SET active = false, deleted_at = now() WHERE workspace_id = $1 AND deleted_at IS NULL
"""

# Each table comes after those that refer to it.
_TABLES = ("event", "replay", "post_change", "account", "webhook", "audit_event", "token")

# Tables whose rows belong to a row of the named one, and are written only by transactions that hold that row.
_PARTS = {
    "delivery": (("attempt", "delivery_id"), ("unsettled", "delivery_id")),
    "post": (("post_account", "post_id"),),
}
_LOCK = "SELECT id FROM TABLE WHERE workspace_id = $1 ORDER BY id LIMIT $2 FOR UPDATE"

_REMOVE = """
WITH gone AS (
    DELETE FROM TABLE WHERE id IN (SELECT id FROM TABLE WHERE workspace_id = $1 ORDER BY id LIMIT $2) RETURNING id
)
SELECT count(*) AS count FROM gone
"""
