"""The short way for plain fields gives the same answers as graphql-core alone, including errors."""

import gc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from typing import Any

import pytest
import strawberry
from graphql import parse, validate
from hypothesis import given, settings
from hypothesis import strategies as st
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from schema.plain_fields import PlainFieldsExecutor
from schema.scalars import JSON, SCALARS
from schema.schema import schema
from tests.schema.conftest import Client
from tests.schema.world import attempted, furnish, many_deliveries

# If an entry fails, graphql-core never awaits what it began beside it, on the short way and the usual way alike.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .*_async_resolver. was never awaited:RuntimeWarning")


@pytest.fixture(scope="module", autouse=True)
def nothing_left() -> Iterator[None]:
    """Collects what was never awaited here, and not while another module's tests run."""
    yield
    gc.collect()


@strawberry.enum
class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class OtherColour(Enum):
    RED = "red"


@strawberry.interface
class Named:
    name: str


@strawberry.type
class Thing(Named):
    id: strawberry.ID
    text: str | None
    whole: int
    share: float | None
    flag: bool
    colour: Colour | None
    colours: list[Colour]
    at: datetime
    data: JSON
    other: "Thing | None"

    @strawberry.field
    def shout(self, louder: bool = False) -> str:
        return str(self.name).upper() * (2 if louder else 1)

    @strawberry.field
    async def later(self) -> str | None:
        return self.text


@strawberry.type
class Bare:
    """A type without an interface: nothing checks whether an entry of a list is of this type."""

    name: str


@strawberry.type
class Query:
    things: list[Thing | None]

    @strawberry.field
    def bare(self) -> list[Bare | None]:
        found: list[Any] = [Bare(name="n") if isinstance(thing, Thing) else thing for thing in self.things]
        return found

    @strawberry.field
    def named(self) -> list[Named]:
        return [thing for thing in self.things if thing is not None]

    @strawberry.field
    def groups(self) -> list[list[Thing | None] | None]:
        return [self.things[:2], None, self.things, self.things[1:]]


CONFIG = StrawberryConfig(scalar_map=SCALARS)
STOCK = strawberry.Schema(query=Query, config=CONFIG)
SHORT = strawberry.Schema(query=Query, config=CONFIG, execution_context_class=PlainFieldsExecutor)


async def soon(value: Any) -> Any:
    return value


class Later:
    """An awaitable that can be awaited any number of times."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __await__(self) -> Any:
        return soon(self.value).__await__()


class Text(str):
    __slots__ = ()


INSTANT = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAIVE = datetime(2026, 3, 1, 12)  # noqa: DTZ001 (that is the point)
TOO_LATE = datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))
# What a field may hold, including the impossible.
VALUES: list[Any] = [
    *(None, "", "text", Text("subclass"), b"bytes", "red", "RED", Colour.RED, Colour.BLUE, OtherColour.RED),
    *(0, 1, True, False, -(2**31), 2**31 - 1, 2**31, 10**30, 1.0, 1.5, 2.0**40, float("inf"), float("nan")),
    *(INSTANT, NAIVE, TOO_LATE, ["list"], {"a": 1}, [Colour.RED], [None], ("tuple",), object),
    *(ValueError("an error as a value"), Later("awaited"), Later(None), Later(7)),
]
LEAVES = ["id", "name", "text", "whole", "share", "flag", "colour", "colours", "at", "data"]


def good() -> dict[str, Any]:
    return {
        "id": strawberry.ID("1"),
        "name": "n",
        "text": None,
        "whole": 1,
        "share": 0.5,
        "flag": True,
        "colour": Colour.BLUE,
        "colours": [Colour.RED],
        "at": INSTANT,
        "data": {"a": [1]},
        "other": None,
    }


@st.composite
def things(draw: st.DrawFn) -> list[Thing | None]:
    """A list of things, some of them with wrong values in some fields, and of entries that are no things."""
    found: list[Any] = []
    for _ in range(draw(st.integers(0, 6))):
        odd = draw(st.dictionaries(st.sampled_from(LEAVES), st.sampled_from(VALUES), max_size=2))
        thing = Thing(**{**good(), **odd})
        if draw(st.booleans()):
            del thing.text
        if draw(st.booleans()):
            thing.other = Thing(**good())
        found.append(
            draw(st.sampled_from([*[thing] * 6, None, Later(thing), ValueError("an error as an entry"), "text"]))
        )
    return found


FIELDS = [
    *LEAVES,
    "__typename",
    "again: name",
    "name: id",
    "shout",
    "loud: shout(louder: true)",
    "later",
    "other { whole at }",
    "other { __typename later other { id } }",
    "... on Thing { text name }",
    "... { flag }",
    "...Some",
    "flag @skip(if: $yes)",
    "whole @include(if: $yes)",
]


ROOTS = [
    "things { %s }",
    "named { __typename ... on Thing { %s } }",
    "things { %s } more: things { id }",
    "things { %s } bare { __typename } more: bare { name }",
    "groups { %s }",
]
FRAGMENTS = "fragment Some on Thing { id colour other { ...More } } fragment More on Thing { data }"


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A document that selects some of the fields, in some order."""
    fields = draw(st.lists(st.sampled_from(FIELDS), min_size=1, max_size=10))
    if "name: id" in fields:
        # Two different fields under one name would make the document invalid.
        fields = [field for field in fields if field not in {"name", "... on Thing { text name }"}]
    body = draw(st.sampled_from(ROOTS)) % " ".join(fields)
    variables = "($yes: Boolean = true)" if "$yes" in body else ""
    return f"query {variables} {{ {body} }} {FRAGMENTS if '...Some' in body else ''}"


def plain(result: Any) -> tuple[Any, list[Any]]:
    """Data in its order and errors with their places, made comparable (NaN does not equal itself)."""
    errors = [(error.message, error.path, error.locations) for error in result.errors or []]
    return repr(result.data), sorted(errors, key=repr)


@given(things(), documents(), st.sampled_from([{}, {"yes": False}, {"yes": None}]))
@settings(max_examples=200)
async def test_the_answer_is_the_same_whatever_the_document(
    found: list[Thing | None], text: str, variables: dict[str, Any]
) -> None:
    assert validate(STOCK._schema, parse(text)) == []
    root = Query(things=found)
    stock = await STOCK.execute(text, variables, root_value=root)
    assert plain(await SHORT.execute(text, variables, root_value=root)) == plain(stock)


@pytest.mark.parametrize("leaf", LEAVES)
async def test_the_answer_is_the_same_whatever_a_field_holds(leaf: str) -> None:
    text = f"{{ things {{ before: name {leaf} after: flag shout }} }}"
    for value in VALUES:
        root = Query(things=[Thing(**good()), Thing(**good()), Thing(**{**good(), leaf: value}), Thing(**good())])
        stock = await STOCK.execute(text, root_value=root)
        assert plain(await SHORT.execute(text, root_value=root)) == plain(stock), value


async def test_the_short_way_is_taken_from_the_second_object_on(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    usual = StrawberryGraphQLCoreExecutionContext.execute_field

    def noted(self: Any, parent_type: Any, *rest: Any) -> Any:
        calls.append(parent_type.name)
        return usual(self, parent_type, *rest)

    monkeypatch.setattr(PlainFieldsExecutor, "execute_field", noted, raising=False)
    root = Query(things=[Thing(**{**good(), "other": Thing(**good())}) for _ in range(50)])
    for text, times in (
        # A list has several entries, so its first one takes the short way too.
        ("{ things { id name text whole flag colour at shout } }", 50),
        ("{ things { id other { id name } } }", 50 + 2),
    ):
        calls.clear()
        result = await SHORT.execute(text, root_value=root)
        assert result.errors is None
        assert calls == ["Query"] + ["Thing"] * times


async def test_entries_of_plain_fields_alone_are_written_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    completed = []
    usual = StrawberryGraphQLCoreExecutionContext.complete_object_value

    def noted(self: Any, return_type: Any, *rest: Any) -> Any:
        completed.append(return_type.name)
        return usual(self, return_type, *rest)

    monkeypatch.setattr(PlainFieldsExecutor, "complete_object_value", noted, raising=False)
    root = Query(things=[Thing(**good()) for _ in range(50)])
    for text, times in (("{ things { id colour __typename } }", 0), ("{ things { id shout } }", 50)):
        completed.clear()
        result = await SHORT.execute(text, root_value=root)
        assert result.errors is None
        assert completed == ["Thing"] * times


CORPUS = [
    "{ deliveries { nodes { id uuid status createdAt finishedAt waitingFor event { type payload } } totalCount } }",
    "{ deliveries { nodes { id status waitingFor nextAttemptAt } } }",
    "{ deliveries { edges { cursor node { webhook { name events headers { name } } } } } }",
    "{ deliveries { nodes { attempts { number outcome durationMs error responseBody responseHeaders { value } } } } }",
    "{ webhooks { nodes { id name method contentType active disabledReason hasSecret stats { successRate p50Ms } } } }",
    "{ posts { nodes { id status accounts { status errors account { name data } } variants { body } } } }",
    "{ accounts { nodes { __typename id provider data authorized } } eventTypes { type wireName example } }",
    "{ viewer { workspace { tokens { nodes { id role lastUsedAt } } } } }",
    "{ auditEvents { nodes { action detail token { name } } } }",
]


@pytest.mark.parametrize("document", CORPUS)
async def test_documents_of_the_real_schema_get_the_same_answer(ask: Client, document: str) -> None:
    world = await furnish(ask)
    for delivery in await many_deliveries(world, 4):
        await attempted(delivery)
    answer = await ask.answer(document)
    assert answer["errors"] == []
    short = schema.execution_context_class
    schema.execution_context_class = StrawberryGraphQLCoreExecutionContext
    try:
        assert repr(await ask.answer(document)) == repr(answer)
    finally:
        schema.execution_context_class = short
