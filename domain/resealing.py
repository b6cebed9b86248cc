"""Resealing: values that an old key has sealed are sealed again with the newest, so that the old one can be removed.

It goes through the tables in small batches while everything else runs. A value is replaced only if it is still the one
that was read: a concurrent change of a secret wins, and has sealed it with a newer key anyway.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Any, Final

from domain.database import rows
from domain.vault import CannotOpen, Vault

BATCH: Final = 200

# The columns that hold sealed values, by their tables; each value is bound to its row's uuid and its column's name.
SEALED: Final[Mapping[str, tuple[str, ...]]] = {
    "webhook": ("sealed_secret", "sealed_previous_secret", "sealed_headers"),
    "account": ("sealed_credentials",),
}


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed value, and where it is stored."""

    table: str
    column: str
    row_id: int
    row_uuid: str
    workspace_id: int
    sealed: bytes

    def __str__(self) -> str:
        return f"{self.table} {self.row_uuid}, {self.column}"


@dataclass(frozen=True, slots=True)
class Batch:
    """The result for some rows: how many values were sealed again, and which ones no key opens."""

    resealed: int
    unopened: Sequence[Sealed]


@dataclass(frozen=True, slots=True)
class Looked:
    """How many values open and which do not, of all values or of those that there was time for."""

    opened: int
    unopened: Sequence[Sealed]
    all_of_them: bool


async def look(vault: Vault, most: timedelta) -> Looked:
    """Open every value, the oldest first, for about as long as `most`. Changes nothing. Raises Unavailable."""
    end = monotonic() + most.total_seconds()
    opened = 0
    unopened = []
    async for table, found in _pages():
        for value in sealed_in(table, found):
            try:
                _open(vault, value)
                opened += 1
            except CannotOpen:
                unopened.append(value)
        if monotonic() > end:
            return Looked(opened, unopened, all_of_them=False)
    return Looked(opened, unopened, all_of_them=True)


async def batches(vault: Vault) -> AsyncGenerator[Batch, None]:
    """Go through all rows once, a batch at each step. Raises Unavailable."""
    async for table, found in _pages():
        yield await reseal(vault, [value for value in sealed_in(table, found) if vault.needs_reseal(value.sealed)])


async def _pages() -> AsyncGenerator[tuple[str, Sequence[Mapping[str, Any]]], None]:
    for table in SEALED:
        position = 0
        while found := await rows(_BATCH[table], position, BATCH):
            position = found[-1]["id"]
            yield table, found


def sealed_in(table: str, found: Sequence[Mapping[str, Any]]) -> list[Sealed]:
    """The sealed values in these rows."""
    return [
        Sealed(table, column, row["id"], str(row["uuid"]), row["workspace_id"], row[column])
        for row in found
        for column in SEALED[table]
        if row[column] is not None
    ]


async def reseal(vault: Vault, stale: Sequence[Sealed]) -> Batch:
    """Seal these values again, if they have not changed meanwhile. Raises Unavailable."""
    resealed = 0
    unopened = []
    for value in stale:
        try:
            fresh = _sealed_anew(vault, value)
        except CannotOpen:
            unopened.append(value)
            continue
        resealed += len(await rows(_REPLACE[value.table, value.column], value.row_id, value.sealed, fresh))
    return Batch(resealed, unopened)


async def left(vault: Vault) -> int:
    """How many values are sealed with another key than the newest. Raises Unavailable."""
    found = await rows(_LEFT, vault.newest_header, len(vault.newest_header))
    count: int = found[0]["count"]
    return count


def _open(vault: Vault, value: Sealed) -> str:
    return vault.open(value.sealed, workspace_id=value.workspace_id, row=value.row_uuid, field=value.column)


def _sealed_anew(vault: Vault, value: Sealed) -> bytes:
    return vault.seal(_open(vault, value), workspace_id=value.workspace_id, row=value.row_uuid, field=value.column)


# The names are those of SEALED, not a person's.
_BATCH = {
    table: f"SELECT id, uuid, workspace_id, {', '.join(columns)} FROM {table} WHERE id > $1 ORDER BY id LIMIT $2"  # noqa: S608
    for table, columns in SEALED.items()
}
_REPLACE = {
    (table, column): f"UPDATE {table} SET {column} = $3 WHERE id = $1 AND {column} = $2 RETURNING id"  # noqa: S608
    for table, columns in SEALED.items()
    for column in columns
}
_COUNTS = [
    f"SELECT count(*) AS count FROM {table} WHERE substr({column}, 1, $2) <> $1"  # noqa: S608
    for table, columns in SEALED.items()
    for column in columns
]
_LEFT = f"SELECT sum(count)::bigint AS count FROM ({' UNION ALL '.join(_COUNTS)}) AS counted"  # noqa: S608
