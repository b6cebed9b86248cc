"""Every place where the schema takes an id or a cursor, found by walking it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLField, GraphQLInputObjectType, GraphQLObjectType, get_named_type

from schema.schema import schema

TYPES = schema._schema.type_map
CURSORS = {"after", "before"}

Path = tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """Where the schema takes an id: the argument of a field, or a field of an input object in it."""

    parent: str
    field: str
    path: Path

    def __str__(self) -> str:
        return f"{self.parent}.{self.field}({'.'.join(self.path)})"

    @property
    def definition(self) -> GraphQLField:
        parent = TYPES[self.parent]
        assert isinstance(parent, GraphQLObjectType)
        field: GraphQLField = parent.fields[self.field]
        return field

    @property
    def is_cursor(self) -> bool:
        return self.path[-1] in CURSORS


def places() -> Iterator[Place]:
    """Every place in the schema that takes an id or a cursor."""
    for type_ in TYPES.values():
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__"):
            for name, field in type_.fields.items():
                yield from (Place(type_.name, name, path) for path in _paths(field.args, ()))


def _paths(inputs: dict[str, Any], above: Path) -> Iterator[Path]:
    for name, input_ in inputs.items():
        type_ = get_named_type(input_.type)
        if type_.name == "ID" or name in CURSORS:
            yield (*above, name)
        elif isinstance(type_, GraphQLInputObjectType):
            yield from _paths(type_.fields, (*above, name))


PLACES = {str(place): place for place in places()}
