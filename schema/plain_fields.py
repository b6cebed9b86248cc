"""A short way for plain fields, in graphql-core's executor.

Most of an answer is fields that are attributes of an object and of a simple type. graphql-core gives each a path, an
info object, a resolver call and a completion: fine for one, and most of the time of a list. Here they are read and
written directly, for the second object of a selection on; and entries of a list that have no other fields are written
without any of the steps between a list and its fields. Whatever is not exactly as simple as that (another Python type,
null where there must be none, an error) is left to graphql-core together with its whole object, so that the answer is
the same; tests/schema/test_plain_fields.py compares the two.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final, NamedTuple

from graphql import (
    GraphQLField,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    TypeNameMetaFieldDef,
)
from graphql.execution.middleware import MiddlewareManager
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.schema_converter import CustomGraphQLEnumType, GraphQLCoreConverter
from strawberry.types.field import StrawberryField

from schema.scalars import write_instant

INT_LIMIT: Final = 2**31
# In the metadata of a field with a resolver: the attribute that holds its value where it is at hand already. What no
# field of its type may hold (UNSET) says that it is not.
AT_HAND: Final = "at_hand"


class _Unfit(Exception):
    """Not as simple as that."""


def _text(value: Any) -> Any:
    if type(value) is not str:
        raise _Unfit
    return value


def _flag(value: Any) -> Any:
    if type(value) is not bool:
        raise _Unfit
    return value


def _number(value: Any) -> Any:
    if type(value) is not int or not -INT_LIMIT <= value < INT_LIMIT:
        raise _Unfit
    return value


def _instant(value: Any) -> Any:
    if type(value) is not datetime:
        raise _Unfit
    return write_instant(value)


_WRITERS: dict[str, Callable[[Any], Any]] = {
    "ID": _text,
    "String": _text,
    "Boolean": _flag,
    "Int": _number,
    "DateTime": _instant,
}


def _enum_writer(type_: CustomGraphQLEnumType) -> Callable[[Any], Any]:
    names: dict[Enum, str] = {type_.wrapped_cls(value.value): name for name, value in type_.values.items()}

    def write(value: Any) -> Any:
        if type(value) is not type_.wrapped_cls:
            raise _Unfit
        return names[value]

    return write


class _Plain(NamedTuple):
    """A field that is an attribute of a simple type."""

    name: str
    attribute: str
    write: Callable[[Any], Any]
    nullable: bool


@dataclass(slots=True)
class _Plan:
    """How the fields of one selection are executed; None until it comes a second time."""

    selection: Any
    plain: list[_Plain] | None = None
    rest: dict[str, Any] | None = None


class PlainFieldsExecutor(StrawberryGraphQLCoreExecutionContext):
    """graphql-core's executor with a short way for plain fields."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._plans: dict[tuple[str, int], _Plan] = {}
        # By the id of what graphql-core knows the field by; it keeps that for as long as the executor lives.
        self._plans_of_entries: dict[int, list[_Plain]] = {}
        self._watched = _is_between(self.middleware_manager)

    def complete_list_item_value(  # noqa: PLR0917 (graphql-core calls it so)
        self,
        item: Any,
        complete_results: list[Any],
        item_type: GraphQLOutputType,
        field_details_list: Any,
        info: "GraphQLResolveInfo[Any]",
        item_path: Path,
        position_context: Any,
    ) -> bool:
        """As in graphql-core: adds the result of one entry, and tells whether it is to be waited for."""
        plan = self._plans_of_entries.get(id(field_details_list))
        type_ = item_type.of_type if isinstance(item_type, GraphQLNonNull) else item_type
        if plan is not None and isinstance(type_, GraphQLObjectType):
            entry = _entry(plan, type_, item, info)
            if entry is not None:
                complete_results.append(entry)
                return False
        is_awaited = super().complete_list_item_value(
            item, complete_results, item_type, field_details_list, info, item_path, position_context
        )
        if plan is None and position_context is None and isinstance(type_, GraphQLObjectType):
            self._plan_entries(type_, field_details_list)
        return is_awaited

    def _plan_entries(self, type_: GraphQLObjectType, field_details_list: Any) -> None:
        selection, deferred, _ = self.collect_subfields(type_, field_details_list)
        plan = self._plans.get((type_.name, id(selection)))
        if plan is not None and plan.plain is not None and not plan.rest and not deferred and not self._watched:
            self._plans_of_entries[id(field_details_list)] = plan.plain

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: Any,
        position_context: Any,
    ) -> Any:
        """As in graphql-core: the results by name, or something to wait for."""
        plan = self._plan(parent_type, grouped_field_set)
        if plan is None or plan.plain is None or self._watched:
            return super().execute_fields(parent_type, source_value, path, grouped_field_set, position_context)
        try:
            results = _written(plan.plain, source_value)
        except Exception:  # noqa: BLE001 (graphql-core meets it again, and says where)
            return super().execute_fields(parent_type, source_value, path, grouped_field_set, position_context)
        if not plan.rest:
            return results
        rest = super().execute_fields(parent_type, source_value, path, plan.rest, position_context)
        if self.is_awaitable(rest):
            return _waited(results, rest)
        assert isinstance(rest, dict)
        return _merged(results, rest)

    def _plan(self, parent_type: GraphQLObjectType, selection: Any) -> _Plan | None:
        key = (parent_type.name, id(selection))
        plan = self._plans.get(key)
        # The plan holds the selection, so its id stays its own.
        if plan is None or plan.selection is not selection:
            self._plans[key] = _Plan(selection)
            return None
        if plan.plain is None:
            self._make(parent_type, plan)
        return plan

    def _make(self, parent_type: GraphQLObjectType, plan: _Plan) -> None:
        """Divide a selection into plain fields and the rest. A place is kept for each of the rest, for the order."""
        plan.plain, plan.rest = [], {}
        for name, details in plan.selection.items():
            field = self.schema.get_field(parent_type, details[0].node.name.value)
            if field is TypeNameMetaFieldDef:
                plan.plain.append(_constant(name, parent_type.name))
                continue
            if field is None:
                continue
            plain = _plain(name, field)
            if plain is None:
                plan.rest[name] = details
                plain = _constant(name, None)
            plan.plain.append(plain)


def _is_between(manager: MiddlewareManager | None) -> bool:
    # Strawberry always gives one, and it is always true.
    return manager is not None and bool(manager.middlewares)


def _entry(
    plan: list[_Plain], type_: GraphQLObjectType, item: Any, info: "GraphQLResolveInfo[Any]"
) -> dict[str, Any] | None:
    """The result of an entry; None where it is not as simple as that."""
    try:
        is_one = type_.is_type_of is None or type_.is_type_of(item, info) is True
        return _written(plan, item) if is_one else None
    except Exception:  # noqa: BLE001 (graphql-core meets it again, and says where)
        return None


def _plain(name: str, field: GraphQLField) -> _Plain | None:
    definition = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    if not isinstance(definition, StrawberryField) or field.args:
        return None
    attribute = definition.python_name if definition.is_basic_field else definition.metadata.get(AT_HAND)
    type_ = field.type.of_type if isinstance(field.type, GraphQLNonNull) else field.type
    write = _enum_writer(type_) if isinstance(type_, CustomGraphQLEnumType) else _WRITERS.get(str(type_))
    if write is None or attribute is None:
        return None
    return _Plain(name, attribute, write, nullable=not isinstance(field.type, GraphQLNonNull))


def _constant(name: str, value: Any) -> _Plain:
    return _Plain(name, "__class__", lambda _: value, nullable=True)


def _written(plan: list[_Plain], source: Any) -> dict[str, Any]:
    results = {}
    for name, attribute, write, nullable in plan:
        value = getattr(source, attribute)
        if value is not None:
            value = write(value)
        elif not nullable:
            raise _Unfit
        results[name] = value
    return results


def _merged(results: dict[str, Any], rest: dict[str, Any]) -> dict[str, Any]:
    # Each has its place in the order already.
    results.update(rest)
    return results


async def _waited(results: dict[str, Any], rest: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    return _merged(results, await rest)
