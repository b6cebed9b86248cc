"""Keyset pages: a list is read by the id that grows with creation, never by counting rows from its start."""

from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any

from tortoise.models import Model
from tortoise.queryset import QuerySet

from domain import ids
from domain.errors import FaultCode, Faults
from domain.reading import Read, statement
from domain.reading import read as read_whole

DEFAULT_SIZE = 50
LARGEST_SIZE = 100


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which part of a list is wanted: `first` rows after a cursor, or the `last` ones before one; 0 to 100 of them."""

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, in the list's order. The cursor of any row is `cursor_of(table, row.pk)`."""

    nodes: list[Any]
    has_next: bool
    has_previous: bool
    start_cursor: str | None
    end_cursor: str | None


async def page(
    queryset: QuerySet[Any], request: PageRequest, *, descending: bool = True, read: Read | None = None
) -> Page:
    """The rows that were asked for, newest first unless `descending` is False; one query, 50 rows by default.

    `read` turns what the query finds into rows, by default into rows of its table; each has a `pk`.

    The row that a cursor came from counts as beyond the page: after a cursor there is a previous page, and before one a
    next page. But `first` with `before`, and `last` with `after`, consider only the rows up to that cursor, as in
    https://relay.dev/graphql/connections.htm. Raises Refused (OUT_OF_RANGE, INVALID) with the field at fault.
    """
    table = queryset.model
    size, after, before = _checked(table, request)
    backwards = request.last is not None
    low, high = (before, after) if descending else (after, before)
    if low is not None:
        queryset = queryset.filter(id__gt=low)
    if high is not None:
        queryset = queryset.filter(id__lt=high)
    # One row more than asked for shows whether the list goes on.
    sql, values = statement(queryset.order_by("-id" if descending != backwards else "id").limit(size + 1))
    found = await (read or partial(read_whole, table))(sql, *values)
    nodes = sorted(found, key=attrgetter("pk"), reverse=descending)
    more = len(nodes) > size
    if more:
        nodes = nodes[1:] if backwards else nodes[:-1]
    return Page(
        nodes=nodes,
        has_next=(before is not None and request.first is None) or (more and not backwards),
        has_previous=more if backwards else after is not None,
        start_cursor=cursor_of(table, nodes[0].pk) if nodes else None,
        end_cursor=cursor_of(table, nodes[-1].pk) if nodes else None,
    )


def cursor_of(table: type[Model], row_id: int) -> str:
    """The opaque cursor of a row, the same in every list of its table."""
    return ids.make(table.__name__, row_id)


def _checked(table: type[Model], request: PageRequest) -> tuple[int, int | None, int | None]:
    faults = Faults()
    if request.first is not None and request.last is not None:
        faults.add(FaultCode.INVALID, "Give first or last, not both.", "last")
    for field, size in (("first", request.first), ("last", request.last)):
        if size is not None and not 0 <= size <= LARGEST_SIZE:
            faults.add(FaultCode.OUT_OF_RANGE, f"A page has 0 to {LARGEST_SIZE} rows.", field)
    after = _place(faults, "after", table, request.after)
    before = _place(faults, "before", table, request.before)
    faults.raise_if_any()
    if request.first is not None:
        return request.first, after, before
    return DEFAULT_SIZE if request.last is None else request.last, after, before


def _place(faults: Faults, field: str, table: type[Model], cursor: str | None) -> int | None:
    if cursor is None:
        return None
    row_id = ids.key(table.__name__, cursor)
    if row_id == ids.NOWHERE:
        faults.add(FaultCode.INVALID, f"{field} is not a cursor of this list.", field)
    return row_id
