"""A short way for plain fields, in graphql-core's executor.

Most fields of an answer are attributes of a simple type. graphql-core gives each a path, an info object, a resolver
call and a completion: fine for one object, but most of the time of a list. Here they are read and written directly,
from the second object of a selection on. A list whose entries have no other fields is written field by field, for all
entries at once. Anything less simple (another Python type, null where it is not allowed, an error) is left to
graphql-core together with its whole object and list, so that the answer is the same;
tests/schema/test_plain_fields.py compares the two.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from operator import attrgetter
from typing import Any, Final, NamedTuple, Self
from weakref import proxy

from graphql import (
    GraphQLError,
    GraphQLField,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLResolveInfoHelpers,
    TypeNameMetaFieldDef,
)
from graphql.execution.middleware import MiddlewareManager
from graphql.pyutils import Path, RefMap
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.schema_converter import CustomGraphQLEnumType, GraphQLCoreConverter
from strawberry.types.base import has_object_definition
from strawberry.types.field import StrawberryField

from schema.scalars import write_instant
from schema.time_slice import TimeSlice

INT_LIMIT: Final = 2**31


class _Unfit(Exception):
    """Not as simple as that."""


def _number(value: int) -> int:
    if not -INT_LIMIT <= value < INT_LIMIT:
        raise _Unfit
    return value


Write = Callable[[Any], Any]

# By the type's name: the only Python type that counts as simple, and how to write it (None: as it is).
_WRITERS: dict[str, tuple[type, Write | None]] = {
    "ID": (str, None),
    "String": (str, None),
    "Boolean": (bool, None),
    "Int": (int, _number),
    "DateTime": (datetime, write_instant),
}


def _enum_writer(type_: CustomGraphQLEnumType) -> tuple[type, Write]:
    names: dict[Enum, str] = {type_.wrapped_cls(value.value): name for name, value in type_.values.items()}
    return type_.wrapped_cls, names.__getitem__


class _Plain(NamedTuple):
    """A field that is an attribute of a simple type."""

    name: str
    attribute: str
    # The Python types that its values may have.
    types: frozenset[type]
    write: Write | None


@dataclass(slots=True)
class _Plan:
    """How the fields of one selection are executed; `plain` and `rest` are None until it comes a second time."""

    selection: Any
    plain: list[_Plain] | None = None
    rest: dict[str, Any] | None = None


class PlainFieldsExecutor(StrawberryGraphQLCoreExecutionContext):
    """graphql-core's executor with a short way for plain fields."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # graphql-core's are bound methods of the executor: a cycle, which keeps all that an operation made until the
        # garbage collector runs.
        weak = proxy(self)
        self.async_helpers = GraphQLResolveInfoHelpers(
            gather=lambda values: weak.gather_async_work(values),  # noqa: PLW0108 (a method would hold the executor)
            track=lambda values: weak.track_async_work(values),  # noqa: PLW0108
        )
        self._plans: dict[tuple[str, int], _Plan] = {}
        self._watched = _is_between(self.middleware_manager)
        self._slice = TimeSlice()

    def build_per_event_executor(self, payload: Any) -> Self:
        """As in graphql-core: a copy that executes one event of a subscription.

        graphql-core's copy shares its caches of selections with the original. Each event has new selections, so the
        caches would grow for as long as the subscription lasts.
        """
        executor: Self = super().build_per_event_executor(payload)  # type: ignore[assignment]
        executor._plans = {}
        executor._relevant_sub_fields = {}
        executor._stream_usages = RefMap()
        return executor

    async def with_abort_signal(self, awaitable: Awaitable[Any]) -> Any:
        """As in graphql-core: wait for a field's value. Then wait for a later turn if the time slice is used up."""
        value = await super().with_abort_signal(awaitable)
        await self._slice.wait()
        return value

    def complete_iterable_value(  # noqa: PLR0917 (graphql-core calls it so)
        self,
        item_type: GraphQLOutputType,
        field_details_list: Any,
        info: "GraphQLResolveInfo[Any]",
        path: Path,
        items: Any,
        position_context: Any,
    ) -> Any:
        """As in graphql-core: the results of a list's entries, or an awaitable of them."""
        type_ = item_type.of_type if isinstance(item_type, GraphQLNonNull) else item_type
        if isinstance(type_, GraphQLObjectType) and type(items) is list and position_context is None:
            plan = self._plan_of_entries(type_, field_details_list, len(items))
            entries = None if plan is None else _entries(plan, type_, items, info)
            if entries is not None:
                return entries
        return super().complete_iterable_value(item_type, field_details_list, info, path, items, position_context)

    def _plan_of_entries(self, type_: GraphQLObjectType, field_details_list: Any, count: int) -> list[_Plain] | None:
        """How to write `count` entries at once; None for fewer than two, or if not all their fields are plain."""
        if count <= 1 or self._watched:
            return None
        try:
            selection, deferred, _ = self.collect_subfields(type_, field_details_list)
        except GraphQLError:  # a null for @skip or @include: graphql-core meets it again, and says at which entry
            return None
        # The first call only notes the selection. There is more than one entry, so make the plan now.
        plan = self._plan(type_, selection) or self._plan(type_, selection)
        return None if plan is None or plan.rest or deferred else plan.plain or None

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: Any,
        position_context: Any,
    ) -> Any:
        """As in graphql-core: the results by name, or an awaitable of them."""
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
        # The plan holds the selection, so no other object can get its id.
        if plan is None or plan.selection is not selection:
            self._plans[key] = _Plan(selection)
            return None
        if plan.plain is None:
            self._make(parent_type, plan)
        return plan

    def _make(self, parent_type: GraphQLObjectType, plan: _Plan) -> None:
        """Divide a selection into plain fields and the rest. Placeholders among the plain ones keep the order."""
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
    # Strawberry always passes a manager, which is true even without middlewares.
    return manager is not None and bool(manager.middlewares)


def _entries(
    plan: list[_Plain], type_: GraphQLObjectType, items: list[Any], info: "GraphQLResolveInfo[Any]"
) -> list[dict[str, Any]] | None:
    """The results of a list's entries; None if they are not all simple."""
    try:
        # One of each class is enough: only strawberry.cast, which we do not use, can make two of one class differ.
        if not all(_is_one(type_, item, info) for item in dict(zip(map(type, items), items, strict=True)).values()):
            return None
        columns = [_column(field, items) for field in plan]
    except Exception:  # noqa: BLE001 (graphql-core meets it again, and says where)
        return None
    names = [field.name for field in plan]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _is_one(type_: GraphQLObjectType, item: Any, info: "GraphQLResolveInfo[Any]") -> bool:
    if type_.is_type_of is None:
        return has_object_definition(item)
    return type_.is_type_of(item, info) is True


def _column(field: _Plain, items: list[Any]) -> Sequence[Any]:
    """The value of a field in each entry."""
    values = list(map(attrgetter(field.attribute), items))
    if not field.types.issuperset(map(type, values)):
        raise _Unfit
    write = field.write
    return values if write is None else [None if value is None else write(value) for value in values]


def _plain(name: str, field: GraphQLField) -> _Plain | None:
    definition = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    if not isinstance(definition, StrawberryField) or not definition.is_basic_field:
        return None
    type_ = field.type.of_type if isinstance(field.type, GraphQLNonNull) else field.type
    writer = _enum_writer(type_) if isinstance(type_, CustomGraphQLEnumType) else _WRITERS.get(str(type_))
    if writer is None:
        return None
    simple, write = writer
    types = {simple} if isinstance(field.type, GraphQLNonNull) else {simple, type(None)}
    return _Plain(name, definition.python_name, frozenset(types), write)


def _constant(name: str, value: Any) -> _Plain:
    return _Plain(name, "__class__", frozenset({type}), lambda _: value)


def _written(plan: list[_Plain], source: Any) -> dict[str, Any]:
    results = {}
    for name, attribute, types, write in plan:
        value = getattr(source, attribute)
        if type(value) not in types:
            raise _Unfit
        results[name] = value if write is None or value is None else write(value)
    return results


def _merged(results: dict[str, Any], rest: dict[str, Any]) -> dict[str, Any]:
    # `results` has placeholders for these, in the right order.
    results.update(rest)
    return results


async def _waited(results: dict[str, Any], rest: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    return _merged(results, await rest)
