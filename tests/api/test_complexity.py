"""What a query may ask for, and that checking it is quick."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import strawberry
from graphql import get_introspection_query

from api.documents import MOST_IN_A_LIST, BadDocument, Documents
from api.execution import LARGE, LARGE_AT_ONCE, LONGEST_ANSWER, MEDIUM, MEDIUM_AT_ONCE, TOO_LONG, too_long
from domain import database
from domain.settings import Settings
from schema.schema import schema
from tests.api.conftest import Api, running
from tests.databases import connected
from tests.waiting import waiting_for_locks

DOCUMENTS = Documents(schema._schema)
NAMES = "viewer { workspace { name } }"
PAGE = "posts(first: 1) { nodes { id uuid body status scheduledAt publishedAt trashed createdAt updatedAt } }"
# Takes some 30 ms to read, on the machine where this was written.
LARGE_AND_ALLOWED = "{ " + f"{PAGE} " * 30 + "}"


@pytest.fixture
def settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Let queries wait a minute for a lock that a test holds: a busy machine may stand still meanwhile."""
    monkeypatch.setattr(database, "STATEMENT_TIMEOUT_MS", 60_000)
    return replace(settings, query_timeout=timedelta(minutes=1))


def refusal(query: str) -> tuple[str, str]:
    """Code and message of the refusal."""
    with pytest.raises(BadDocument) as caught:
        cost(query)
    error = caught.value.errors[0]
    return (error.extensions or {})["code"], error.message


def cost(query: str) -> int:
    """The most that the only operation of a document may cost."""
    document = DOCUMENTS.prepare(query)
    return document.cost(document.operation(None), {})


def bomb(levels: int, *, width: int = 2) -> str:
    """Fragments that each spread the next one `width` times."""
    spreads = [" ".join([f"...f{level + 1}"] * width) for level in range(levels)]
    fragments = [f"fragment f{level} on Query {{ {spread} }}" for level, spread in enumerate(spreads)]
    return "query { ...f0 } " + " ".join(fragments) + f" fragment f{levels} on Query {{ {NAMES} }}"


def nested_bomb(levels: int) -> str:
    """Nested fields whose fragments each spread the next one twice, as in the report against the stock limiters."""
    fragments = [
        f"fragment f{level} on Webhook {{ a: deliveries {{ nodes {{ webhook {{ ...f{level + 1} ...f{level + 1} }} "
        "} } }"
        for level in range(levels)
    ]
    return "query { webhooks { nodes { ...f0 } } } " + " ".join(fragments) + f" fragment f{levels} on Webhook {{ id }}"


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(bomb(22), id="a bomb of 845 bytes"),
        pytest.param(bomb(90), id="a bomb of 3.4 KB, 90 levels deep"),
        pytest.param(bomb(10, width=16), id="a wide bomb"),
        pytest.param(nested_bomb(12), id="a bomb of nested fields"),
        pytest.param("{ viewer { token { " + "name " * 900 + "} } }", id="one name 900 times"),
        pytest.param("{ viewer { token { " + ("... { " + "name " * 45 + "} ") * 20 + "} } }", id="and in fragments"),
        pytest.param("{ viewer { " + ("token { " + "name " * 18 + "} ") * 45 + "} }", id="and within one name"),
        pytest.param("{ viewer { token { " + " ".join(f"a{i}: name" for i in range(400)) + " } } }", id="400 aliases"),
        pytest.param("{ " + " ".join(f"a{i}: viewer {{ token {{ id }} }}" for i in range(60)) + " }", id="60 roots"),
        pytest.param("{ viewer { token { id " + "@skip(if: false) " * 150 + "} } }", id="150 directives"),
        pytest.param("{ " + "viewer { " * 500 + "id" + " }" * 501, id="500 levels"),
        pytest.param("{ " + "... { " * 100 + NAMES + " }" * 101, id="100 nested inline fragments"),
        pytest.param(
            "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }", id="introspection"
        ),
        pytest.param(
            "{ __schema { "
            + " ".join(f"a{i}: types {{ fields {{ name type {{ name }} args {{ name }} }} }}" for i in range(40))
            + "} }",
            id="all types 40 times",
        ),
        pytest.param(
            "{ posts(first: 100) { nodes { accounts { " + " ".join(f"a{i}: errors" for i in range(90)) + " } } } }",
            id="one list of many under 90 names",
        ),
        pytest.param(" ".join(f"query q{i} {{ {NAMES} }}" for i in range(200)), id="200 operations"),
        pytest.param(
            "{ webhooks(first: 100) { nodes { deliveries(first: 100) { nodes { id } } } } }", id="large pages"
        ),
        pytest.param(
            "query($n: Int = 100) { webhooks(first: $n) { nodes { deliveries(first: $n) { nodes { id } } } } }",
            id="large pages by default",
        ),
        pytest.param("\n" * 1_000_000 + "{", id="1 MiB of empty lines"),
        pytest.param('{ webhook(id: """' + "\n" * 1_000_000 + '""") { id } }', id="1 MiB of one value"),
    ],
)
def test_what_asks_for_too_much_is_refused_as_quickly_as_a_large_query_is_read(query: str) -> None:
    assert refusal(query)[0] == "QUERY_TOO_COMPLEX"
    refusing, reading = [], []
    for _ in range(3):  # the quickest of three: other processes share the machine
        refusing.append(seconds(lambda: refusal(query)))
        reading.append(seconds(lambda: DOCUMENTS._prepare(LARGE_AND_ALLOWED)))
    assert min(refusing) < 2 * min(reading)


def seconds(work: Callable[[], object]) -> float:
    """The CPU time that the work takes."""
    started = time.process_time()
    work()
    return time.process_time() - started


def test_the_bombs_are_as_large_as_the_ones_that_were_reported() -> None:
    assert 800 < len(bomb(22)) < 1_200
    assert 3_300 < len(bomb(90)) < 5_200


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }", id="a circle of fragments"),
        pytest.param("{ ...a } fragment a on Query { viewer { token { id } } ...a }", id="a fragment in itself"),
        pytest.param("{ ...nowhere }", id="an unknown fragment"),
        pytest.param("{ nothing { nothing } }", id="unknown fields"),
        pytest.param("{ ... on Nothing { id } }", id="an unknown type"),
        pytest.param("{ webhooks(first: " + "9" * 5_000 + ") { nodes { id } } }", id="a number of 5,000 digits"),
        pytest.param("{ webhooks(first: -5, first: 5) { nodes { id } } }", id="one argument twice"),
    ],
)
def test_nonsense_is_left_to_validation(query: str) -> None:
    assert refusal(query)[0] == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{ viewer { workspace { name } token { role } } }", 3),
        ("{ webhooks { nodes { id name } } }", 60),
        ("{ webhooks(first: 10) { nodes { id } pageInfo { endCursor } totalCount } }", 30),
        ("{ webhooks(first: -3) { nodes { id } } }", 10),
        ("{ webhooks(first: 1000) { nodes { id } } }", 110),
        ('{ nodes(ids: ["a", "b", "c"]) { id } }', 3),
        ('query($ids: [ID!]! = ["a", "b", "c"]) { nodes(ids: $ids) { id } }', 3),
        ("{ deliveries(first: 100) { nodes { id uuid status attemptCount event { type } } } }", 210),
        ("{ webhooks(first: 100) { nodes { deliveries(first: 1) { totalCount nodes { id } } } } }", 1_210),
        ("{ deliveries(first: 10) { nodes { attempts { id } } } }", 70),
        ("{ deliveries(first: 10) { nodes { attempts { a: error b: error error } } } }", 170),
        ("{ posts(first: 10) { nodes { accounts { account { name } } } } }", 420),
        ("mutation { tokenRevoke(id: 1) { errors { code } } }", 16),
        ("subscription { deliveryStatusChanged { cursor delivery { id } } }", 2),
        ("{ __schema { types { name } } }", 0),
    ],
)
def test_the_cost_counts_objects(query: str, expected: int) -> None:
    assert cost(query) == expected


def test_the_cost_follows_the_variables_and_is_remembered_for_each_of_their_values() -> None:
    document = DOCUMENTS.prepare(
        "query($n: Int = 20, $f: WebhookFilter) { webhooks(first: $n, filter: $f) { nodes { id } } }"
    )
    node = document.operation(None)
    asked: list[tuple[dict[str, Any], int]] = [
        ({}, 30), ({"n": 5}, 15), ({"n": None}, 60), ({"n": "x"}, 60), ({"n": 100.0}, 110), ({"n": [1] * 5}, 60),
    ]  # fmt: skip
    assert [document.cost(node, variables) for variables, _ in asked] == [cost for _, cost in asked]
    assert document.page_variables == ("n",)


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        pytest.param(
            "query($v: [DeliveryStatus!]) { deliveries(first: 0, filter: { statuses: $v }) { nodes { id } } }",
            lambda length: ["FAILED"] * length,
            id="a list",
        ),
        pytest.param(
            "query($v: DeliveryFilter) { deliveries(first: 0, filter: $v) { nodes { id } } }",
            lambda length: {"statuses": ["FAILED"] * length},
            id="a list in an object",
        ),
    ],
)
async def test_a_list_that_is_longer_than_any_argument_takes_is_refused(
    api: Api, query: str, variables: Callable[[int], Any]
) -> None:
    assert (await api.post(query, v=variables(MOST_IN_A_LIST)))[0] == 200
    # PostgreSQL's driver refused to send more than 32,767 values, and the API then said that the database was away.
    for length in (MOST_IN_A_LIST + 1, 40_000):
        status, body = await api.post(query, v=variables(length))
        assert (status, body["errors"][0]["extensions"]["code"]) == (400, "QUERY_TOO_COMPLEX")
    async with api.socket() as socket:
        await socket.subscribe("long", query, v=variables(MOST_IN_A_LIST + 1))
        assert (await socket.receive())["payload"][0]["extensions"]["code"] == "QUERY_TOO_COMPLEX"
        await socket.quiet()


@pytest.mark.parametrize("root", ["events(first: 1)", f'deliveries(first: 1, filter: {{eventUuid: "{UUID(int=1)}"}})'])
async def test_a_query_of_many_statements_leaves_connections_to_others(api: Api, settings: Settings, root: str) -> None:
    many = " ".join(f"a{i}: {root} {{ totalCount nodes {{ id }} }}" for i in range(30))
    async with connected(settings.database_url) as apart:
        async with apart.transaction():
            await apart.execute("LOCK TABLE event IN ACCESS EXCLUSIVE MODE")
            waiting = asyncio.create_task(api.post(f"{{ {many} }}"))
            async with asyncio.timeout(30):
                while await waiting_for_locks(apart) < database.CONNECTIONS_OF_ONE:
                    pass
            assert (await api.post("{ webhooks { totalCount } }"))[0] == 200
            assert await waiting_for_locks(apart) == database.CONNECTIONS_OF_ONE
        assert (await waiting)[0] == 200


LARGE_QUERY = "{ events(first: 100) { nodes { deliveries(first: 20) { nodes { id } } } } }"
MEDIUM_QUERY = "{ events(first: 100) { nodes { id } } }"


@pytest.mark.parametrize(("query", "at_once"), [(LARGE_QUERY, LARGE_AT_ONCE), (MEDIUM_QUERY, MEDIUM_AT_ONCE)])
async def test_large_queries_of_a_workspace_wait_for_each_other_and_nobody_else_waits_for_them(
    api: Api, settings: Settings, query: str, at_once: int
) -> None:
    assert cost(LARGE_QUERY) > LARGE >= cost(MEDIUM_QUERY) > MEDIUM
    other = await api.elsewhere()
    async with connected(settings.database_url) as apart:
        async with apart.transaction(), asyncio.timeout(30):
            await apart.execute("LOCK TABLE event IN ACCESS EXCLUSIVE MODE")
            asked = [asyncio.create_task(api.post(query)) for _ in range(at_once + 2)]
            while await waiting_for_locks(apart) < at_once:
                pass
            asked.append(asyncio.create_task(other.post(query)))
            while await waiting_for_locks(apart) < at_once + 1:
                pass
            assert (await api.post("{ webhooks { totalCount } }"))[0] == 200
            assert await waiting_for_locks(apart) == at_once + 1
        assert {status for status, _ in await asyncio.gather(*asked)} == {200}


def test_a_document_is_prepared_once() -> None:
    query = "{ viewer { token { name prefix } } }"
    assert DOCUMENTS.prepare(query) is DOCUMENTS.prepare(query)


def test_the_full_introspection_passes() -> None:
    query = get_introspection_query(descriptions=True, input_value_deprecation=True, specified_by_url=True)
    assert cost(query) == 0


@pytest.mark.parametrize(("letter", "bytes_each"), [("x", 1), ("\U0001d11e", 4), ("\x01", 6)])
async def test_an_answer_that_is_too_long_is_not_encoded(settings: Settings, letter: str, bytes_each: int) -> None:
    @strawberry.type
    class Texts:
        @strawberry.field
        def long(self) -> str:
            return letter * (LONGEST_ANSWER // 10 // bytes_each)

    @strawberry.type
    class Changes(Texts):
        pass

    def asked(times: int) -> str:
        return " ".join(f"a{number}: long" for number in range(times))

    async with running(settings, strawberry.Schema(query=Texts, mutation=Changes)) as api:
        assert (await api.post(f"{{ {asked(9)} }}"))[0] == 200
        status, body = await api.post(f"{{ {asked(11)} }}")
        assert (status, body["errors"][0]["extensions"]["code"], "data" in body) == (400, "QUERY_TOO_COMPLEX", False)
        # The mutation was carried out all the same.
        status, body = await api.post(f"mutation {{ {asked(11)} }}")
        assert (status, body["errors"][0]["message"], body["data"]) == (200, TOO_LONG, None)


def test_the_names_of_an_answer_count_as_its_texts_do() -> None:
    few = {"nodes": [{"n" * 1024: 1}] * 9}
    assert too_long(few) == []
    assert too_long({"nodes": few["nodes"] * (LONGEST_ANSWER // 9_000)}) != []
