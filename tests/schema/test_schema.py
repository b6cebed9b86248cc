import re
from collections.abc import Iterator

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    is_specified_scalar_type,
)

from domain.vocabulary import Role
from schema.export import EXPORT, exported
from schema.permissions import Verb
from schema.schema import schema
from tests.schema.conftest import Client
from tests.schema.world import furnish


@pytest.fixture
def export() -> GraphQLSchema:
    return build_schema(EXPORT.read_text())


def test_the_export_is_current() -> None:
    assert EXPORT.read_text() == exported(), "run python -m schema.export"


def undescribed(export: GraphQLSchema) -> Iterator[str]:
    """Everything a client can see that has no description."""
    for type_ in export.type_map.values():
        if type_.name.startswith("__") or is_specified_scalar_type(type_):
            continue
        if not type_.description:
            yield type_.name
        if isinstance(type_, GraphQLEnumType):
            yield from (f"{type_.name}.{name}" for name, value in type_.values.items() if not value.description)
        if isinstance(type_, GraphQLInputObjectType):
            yield from (f"{type_.name}.{name}" for name, input_ in type_.fields.items() if not input_.description)
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            for name, field in type_.fields.items():
                if not field.description:
                    yield f"{type_.name}.{name}"
                arguments = field.args.items()
                yield from (f"{type_.name}.{name}({other})" for other, arg in arguments if not arg.description)


def test_every_type_field_argument_and_value_is_described(export: GraphQLSchema) -> None:
    assert list(undescribed(export)) == []
    assert len(export.type_map) > 80


def test_a_missing_description_would_be_found() -> None:
    bare = build_schema('type Query { a(b: Int): C } enum C { D } input E { f: Int } "g" scalar G')
    assert set(undescribed(bare)) == {"Query", "Query.a", "Query.a(b)", "C", "C.D", "E", "E.f"}


def test_no_description_leans_on_the_one_above_it() -> None:
    # GraphiQL and editors show each alone, and the export has its own order.
    described = re.findall(r'"""(.*?)"""', EXPORT.read_text(), re.DOTALL)
    assert [words.strip() for words in described if re.search(r"\b(above|below)\b", words)] == []
    assert len(described) > 400


def test_nothing_is_deprecated_and_there_are_no_unions_so_far(export: GraphQLSchema) -> None:
    assert not [type_ for type_ in export.type_map.values() if isinstance(type_, GraphQLUnionType)]
    assert "@deprecated" not in EXPORT.read_text()


def test_every_mutation_declares_a_role() -> None:
    definition = schema.get_type_by_name("Mutation")
    assert definition is not None
    fields = definition.fields  # type: ignore[union-attr]
    assert len(fields) == 18
    assert [each.python_name for each in fields if not any(isinstance(one, Verb) for one in each.extensions)] == []


def test_members_change_accounts_and_posts_and_admins_the_rest_as_the_description_says() -> None:
    definition = schema.get_type_by_name("Mutation")
    assert definition is not None
    for each in definition.fields:  # type: ignore[union-attr]
        (verb,) = (one for one in each.extensions if isinstance(one, Verb))
        assert (verb.role is Role.MEMBER) == each.python_name.startswith(("account_", "post_")), each.python_name


async def test_the_viewer_is_the_token_and_its_workspace(ask: Client) -> None:
    viewer = (await ask("{ viewer { workspace { id name } token { name role prefix revokedAt } } }"))["viewer"]
    assert viewer["workspace"]["name"] == "Test"
    assert viewer["token"]["role"] == "ADMIN"
    assert viewer["token"]["prefix"].startswith("hl_")


async def test_node_reads_everything_that_has_an_id(ask: Client) -> None:
    world = await furnish(ask)
    for noun, id_ in world.ids.items():
        node = (await ask("query ($id: ID!) { node(id: $id) { __typename id } }", id=id_))["node"]
        assert node == {"__typename": noun, "id": id_}


async def test_every_type_with_an_id_can_be_read_by_node(ask: Client, export: GraphQLSchema) -> None:
    node = export.type_map["Node"]
    assert isinstance(node, GraphQLInterfaceType)
    assert {type_.name for type_ in export.get_possible_types(node)} == set((await furnish(ask)).ids)


async def test_nodes_come_in_the_order_asked_for_with_null_for_what_is_not_there(ask: Client) -> None:
    world = await furnish(ask)
    wanted = [world.ids["Webhook"], "junk", world.ids["Post"], world.ids["Webhook"]]
    nodes = (await ask("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=wanted))["nodes"]
    assert nodes == [{"id": wanted[0]}, None, {"id": wanted[2]}, {"id": wanted[0]}]


async def test_too_many_nodes_are_refused(ask: Client) -> None:
    nodes = (await ask("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=["x"] * 100))["nodes"]
    assert nodes == [None] * 100
    code, _ = await ask.refused("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=["x"] * 101)
    assert code == "BAD_USER_INPUT"
