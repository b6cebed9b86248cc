"""Loads what the rows of an answer refer to: one statement for each kind, and nothing of another workspace."""

from collections import defaultdict
from datetime import datetime
from functools import cached_property, partial
from typing import Any, TypeVar

from strawberry.dataloader import DataLoader
from tortoise.models import Model
from tortoise.queryset import QuerySet

from domain import tables, webhook_stats
from domain.errors import Unavailable
from domain.reading import select
from schema.nodes import reader

Row = TypeVar("Row", bound=Model)
Span = tuple[int, datetime | None, datetime | None]


class Removed(Unavailable):
    """Some of this was removed while it was read; ask again."""


class Loaders:
    """The rows that one operation has asked for. A key without a row gives None.

    The load functions hold no reference to this object: that would be a cycle, which only the garbage collector ends.
    """

    def __init__(self, workspace_id: int) -> None:
        self._workspace_id = workspace_id
        self._by_table: dict[type[Model], DataLoader[int, Any]] = {}

    @cached_property
    def attempts(self) -> DataLoader[int, list[tables.Attempt]]:
        """The attempts of a delivery, in their order."""
        return DataLoader(partial(_load_attempts, self._workspace_id))

    @cached_property
    def post_accounts(self) -> DataLoader[int, list[tables.PostAccount]]:
        """Where a post goes."""
        return DataLoader(partial(_load_post_accounts, self._workspace_id))

    @cached_property
    def stats(self) -> DataLoader[Span, webhook_stats.Stats]:
        """The statistics of a webhook over a span of time."""
        return DataLoader(_load_stats)

    async def one(self, table: type[Row], key: int | None) -> Row | None:
        """The row with this key, loaded with all others that are asked for in the same turn of the event loop."""
        if not key:
            return None
        row: Row | None = await self._of(table).load(key)
        return row

    async def referred(self, table: type[Row], key: int) -> Row:
        """The row that another row, read before, refers to. Raises Removed if both have been deleted since."""
        row = await self.one(table, key)
        if row is None:
            raise Removed
        return row

    def _of(self, table: type[Model]) -> DataLoader[int, Any]:
        if table not in self._by_table:
            self._by_table[table] = DataLoader(partial(_load_rows, table, self._workspace_id))
        return self._by_table[table]


_MINE = "SELECT * FROM TABLE WHERE id = ANY ($1) AND OWNER = $2"


async def _load_rows(table: type[Model], workspace_id: int, keys: list[int]) -> list[Any]:
    owner = "id" if table is tables.Workspace else "workspace_id"
    sql = _MINE.replace("TABLE", table._meta.db_table).replace("OWNER", owner)  # noqa: SLF001
    found = {row.pk: row for row in await reader(table)(sql, keys, workspace_id)}
    return [found.get(key) for key in keys]


async def _load_attempts(workspace_id: int, keys: list[int]) -> list[list[tables.Attempt]]:
    mine = tables.Attempt.filter(delivery_id__in=keys, delivery__workspace_id=workspace_id)
    return await _grouped(mine.order_by("delivery_id", "number"), "delivery_id", keys)


async def _load_post_accounts(workspace_id: int, keys: list[int]) -> list[list[tables.PostAccount]]:
    mine = tables.PostAccount.filter(post_id__in=keys, post__workspace_id=workspace_id)
    return await _grouped(mine.order_by("post_id", "id"), "post_id", keys)


async def _grouped(mine: QuerySet[Row], owner: str, keys: list[int]) -> list[list[Row]]:
    found: defaultdict[int, list[Row]] = defaultdict(list)
    for row in await select(mine):
        found[getattr(row, owner)].append(row)
    return [found[key] for key in keys]


async def _load_stats(spans: list[Span]) -> list[webhook_stats.Stats]:
    keys_of: defaultdict[tuple[datetime | None, datetime | None], list[int]] = defaultdict(list)
    for key, since, until in spans:
        keys_of[since, until].append(key)
    found = {
        (key, *span): stats
        for span, keys in keys_of.items()
        for key, stats in (await webhook_stats.read(keys, *span)).items()
    }
    return [found[span] for span in spans]
