"""The scalars of the contract: DateTime and JSON."""

import re
from datetime import UTC, datetime
from typing import Any, NewType

import orjson
import strawberry
from graphql import GraphQLError, ValueNode, value_from_ast_untyped
from strawberry.types.scalar import ScalarDefinition

JSON = NewType("JSON", object)

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6}\d*)?([Zz]|[+-]\d\d:\d\d)")


def write_instant(value: datetime) -> str:
    """RFC 3339 in UTC, ending in Z."""
    if value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    # Like isoformat, in a third of the time.
    return orjson.dumps(value, option=orjson.OPT_UTC_Z)[1:-1].decode()


def told_instant(text: str | None) -> datetime | None:
    """An instant of a live change; None for None."""
    return None if text is None else datetime.fromisoformat(text)


def read_instant(value: Any) -> datetime:
    """An instant from RFC 3339. Raises GraphQLError for a value that is not text, is no date, or has no offset."""
    if not isinstance(value, str) or len(value) > 64 or not _RFC3339.fullmatch(value):
        raise GraphQLError("Write an instant in RFC 3339 form and with an offset, for example 2030-01-31T09:30:00Z.")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise GraphQLError("There is no such date or time.") from None


def _read_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> datetime:
    """The same for a literal in a document; the error says where it is."""
    try:
        return read_instant(value_from_ast_untyped(node, variables))
    except GraphQLError as error:
        raise GraphQLError(error.message, node) from None


def _as_it_is(value: object) -> object:
    return value


SCALARS: dict[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description=(
            "An instant in RFC 3339 form, for example `2030-01-31T09:30:00Z`. What you get is in UTC and ends in `Z`; "
            "what you send may have any offset, but must have one."
        ),
        specified_by_url="https://datatracker.ietf.org/doc/html/rfc3339",
        serialize=write_instant,
        parse_value=read_instant,
        parse_literal=_read_literal,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON value: an object, a list, a string, a number, a boolean or null.",
        specified_by_url="https://datatracker.ietf.org/doc/html/rfc8259",
        serialize=_as_it_is,
        parse_value=_as_it_is,
    ),
}
