"""Reading rows of a table, many at once.

Tortoise has each field convert each value, to suit every driver: 1 ms for a page of 100 deliveries, most of the cost of
reading them. asyncpg's values are already what the fields want, except for enums and JSON.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

from tortoise.fields import DatetimeField, Field, UUIDField
from tortoise.fields.data import CharEnumFieldInstance
from tortoise.models import Model
from tortoise.queryset import QuerySet

from domain.database import connection, rows

Row = TypeVar("Row", bound=Model)
Conversion = Callable[[Any], Any]
# Runs a statement that returns whole rows of a table, and turns them into what the caller wants.
Read = Callable[..., Awaitable[Sequence[Any]]]


async def read(table: type[Row], sql: str, *values: Any) -> list[Row]:
    """Run one statement of our own that returns whole rows of a table. Raises Unavailable."""
    return filled(table, await rows(sql, *values))


async def select(queryset: QuerySet[Row]) -> list[Row]:
    """The rows of a queryset that asks for whole rows of its table and nothing else. Raises Unavailable."""
    sql, values = statement(queryset)
    return await read(queryset.model, sql, *values)


def statement(queryset: QuerySet[Any]) -> tuple[str, list[Any]]:
    """The SQL of a queryset, and its values."""
    asked = queryset.using_db(connection())
    asked._make_query()  # noqa: SLF001 (Tortoise shows a statement's values nowhere else)
    sql, values = asked.query.get_parameterized_sql()
    return sql, values


def filled(table: type[Row], records: Sequence[Any]) -> list[Row]:
    """Rows of the table, made from asyncpg's records."""
    if not records:
        return []
    names = tuple(records[0].keys())
    shape = _shape(table)
    if shape.columns != set(names):
        # During an upgrade, perhaps: the tables may be newer than this code.
        return [table._init_from_db(**record) for record in records]  # noqa: SLF001
    return [_row(table, shape, dict(zip(names, record, strict=True))) for record in records]


def _row(table: type[Row], shape: "_Shape", values: dict[str, Any]) -> Row:
    for name, convert in shape.conversions:
        values[name] = convert(values[name])
    values |= shape.known
    values["_await_when_save"] = {}
    row = table.__new__(table)
    # Tortoise's __setattr__ would look at each value again.
    object.__setattr__(row, "__dict__", values)
    return row


class _Shape(NamedTuple):
    """The columns of a table, and the conversions of values that are not yet what the fields want."""

    columns: frozenset[str]
    conversions: list[tuple[str, Conversion]]
    # What Tortoise itself notes in a row that it has read.
    known: dict[str, Any]


@cache
def _shape(table: type[Model]) -> _Shape:
    meta = table._meta  # noqa: SLF001
    fields = {meta.fields_db_projection[name]: meta.fields_map[name] for name in meta.fields_db_projection}
    conversions = [(column, convert) for column, field in fields.items() if (convert := _conversion(field))]
    own_key = meta.db_pk_column not in meta.generated_db_fields
    known = {"_partial": False, "_saved_in_db": True, "_custom_generated_pk": own_key}
    return _Shape(frozenset(fields), conversions, known)


def _conversion(field: "Field[Any]") -> Conversion | None:
    if isinstance(field, CharEnumFieldInstance):
        return {None: None, **{member.value: member for member in field.enum_type}}.__getitem__
    # asyncpg returns times in UTC, and uuids as UUID.
    ready = isinstance(field, DatetimeField | UUIDField) or type(field).to_python_value is Field.to_python_value
    return None if ready else field.to_python_value
