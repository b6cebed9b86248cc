"""Things with an id, and the one place that knows which type stands for which table.

Types refer to each other in circles (a webhook has deliveries, a delivery has a webhook). They do so through `shown`
and Strawberry's lazy types, so that no files import each other in circles.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import strawberry
from tortoise.models import Model

from domain.reading import Read, read

T = TypeVar("T", bound=type)


@strawberry.interface(description="Anything that has an id, and can be read again by it with `node`.")
class Node:
    id: strawberry.ID = strawberry.field(description="Opaque, and unique across all types. Do not take it apart.")


_types: dict[type, Any] = {}
_read_as: dict[type[Model], Any] = {}
_tables: dict[str, type[Model]] = {}


def shows(table: type[Model], read_as: type | None = None) -> Callable[[T], T]:
    """Declare that a type (with a class method `of(row)`) stands for the rows of this table.

    If the rows are read as a class other than the table's, that class has a class method `read(sql, *values)`.
    """

    def register(type_: T) -> T:
        _types[read_as or table] = type_
        if read_as is not None:
            _read_as[table] = read_as
        _tables[type_.__name__] = table
        return type_

    return register


def reader(table: type[Model]) -> Read:
    """The function that reads rows of this table as `shown` expects them."""
    return _read_as[table].read if table in _read_as else partial(read, table)


def shown(row: Any) -> Any:
    """The object of the schema for a row; None for None."""
    return None if row is None else _types[type(row)].of(row)


def table_of(noun: str) -> type[Model] | None:
    """The table whose rows have ids of this noun."""
    return _tables.get(noun)
