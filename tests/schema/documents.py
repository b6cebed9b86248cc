"""Operations that pass an id in one place, made from the schema."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    get_named_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_required_argument,
    is_required_input_field,
)

from tests.schema.places import Path, Place
from tests.schema.world import World

Input = GraphQLArgument | GraphQLInputField

# Values of the other required inputs that have no default.
SAMPLES: dict[str, str] = {
    "String": '"some text"',
    "DateTime": '"2026-03-01T00:00:00Z"',
    "EventType": "POST_CREATED",
    "HttpMethod": "POST",
}
OVERRIDES = {"Mutation.postSchedule.scheduledAt": json.dumps(f"{datetime.now(UTC) + timedelta(days=30):%FT%TZ}")}


def document(place: Place, id_: str, world: World) -> str:
    """An operation, otherwise valid and complete, that passes this id in this place, and selects all plain fields."""
    arguments = _written(place.definition.args, place.path, id_, world, place)
    selection = f"{place.field}({arguments}) {_selected(place.definition, 2)}"
    if place.parent in {"Query", "Mutation"}:
        return f"{place.parent.lower()} {{ {selection} }}"
    parent = world.ids[place.parent]
    return f'query {{ node(id: "{parent}") {{ ... on {place.parent} {{ {selection} }} }} }}'


def _written(inputs: dict[str, Any], path: Path, id_: str, world: World, place: Place) -> str:
    """The arguments, or the fields of an input object, that lead along the path to the id."""
    written = []
    for name, input_ in inputs.items():
        if path and name == path[0]:
            written.append(f"{name}: {_on_the_way(input_, path, id_, world, place)}")
        elif _is_required(input_):
            written.append(f"{name}: {_sample(name, input_, world, place)}")
    if place.field == "postCreate" and place.path[-1] == "accountId" and path == place.path[1:]:
        # The variant is for one of the post's accounts.
        written = [text for text in written if not text.startswith("accountIds")] + [f'accountIds: ["{id_}"]']
    return ", ".join(written)


def _on_the_way(input_: Input, path: Path, id_: str, world: World, place: Place) -> str:
    type_ = get_named_type(input_.type)
    if isinstance(type_, GraphQLInputObjectType):
        value = f"{{ {_written(type_.fields, path[1:], id_, world, place)} }}"
    else:
        value = json.dumps(id_)
    nullable = input_.type.of_type if is_non_null_type(input_.type) else input_.type
    return f"[{value}]" if is_list_type(nullable) else value


def _sample(name: str, input_: Input, world: World, place: Place) -> str:
    type_ = get_named_type(input_.type)
    if isinstance(type_, GraphQLInputObjectType):
        inner = ", ".join(
            f"{field}: {_sample(field, each, world, place)}"
            for field, each in type_.fields.items()
            if _is_required(each)
        )
        return f"{{ {inner} }}"
    if type_.name == "ID":
        noun = {"accountId": "Account", "accountIds": "Account"}.get(
            name, place.field.removesuffix("Update").capitalize()
        )
        return json.dumps(world.ids[noun]) if name != "accountIds" else json.dumps([world.ids[noun]])
    return OVERRIDES.get(f"{place.parent}.{place.field}.{name}", SAMPLES[type_.name])


def _is_required(input_: Input) -> bool:
    return is_required_argument(input_) if isinstance(input_, GraphQLArgument) else is_required_input_field(input_)


def _selected(field: GraphQLField, depth: int) -> str:
    type_ = get_named_type(field.type)
    if is_leaf_type(type_):
        return ""
    names = [
        f"{name} {_selected(each, depth - 1)}"
        for name, each in getattr(type_, "fields", {}).items()
        if not any(map(is_required_argument, each.args.values()))
        and (depth > 0 or is_leaf_type(get_named_type(each.type)))
        if is_leaf_type(get_named_type(each.type)) or _has_leaves(each)
    ]
    return f"{{ __typename {' '.join(names)} }}"


def _has_leaves(field: GraphQLField) -> bool:
    return bool(getattr(get_named_type(field.type), "fields", {}))
