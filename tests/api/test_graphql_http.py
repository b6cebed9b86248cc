"""GraphQL over HTTP, as the audits of the npm package graphql-http and we ourselves see it."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
import strawberry
from graphql import IntrospectionQuery, build_client_schema, get_introspection_query
from yarl import URL

from api.asking import MAX_PARAMETERS, Malformed, from_query_string
from domain.ids import make
from domain.settings import Settings
from tests import node
from tests.api.conftest import GRAPHQL, JSON, Api, running

JUDGES = Path(__file__).parent / "judges"


@pytest.fixture(scope="session", autouse=True)
def judges() -> None:
    """Install the npm packages of the audits."""
    node.install(JUDGES)


async def test_all_61_audits_of_graphql_http_pass(api: Api) -> None:
    given = {"url": api.graphql, "token": api.token}
    results = await asyncio.to_thread(node.run, JUDGES / "audits.mjs", given=given)
    assert [result for result in results if result["status"] != "ok"] == []
    assert len(results) == 61


QUERY = b'{"query": "{ viewer { workspace { name } } }"}'
DEEP = b"[" * 100_000 + b"]" * 100_000
SUBSCRIPTION = "subscription { deliveryStatusChanged { cursor } }"


MALFORMED: dict[str, tuple[bytes, str, int]] = {
    "nothing": (b"", JSON, 400),
    "half an object": (b"{", JSON, 400),
    "null": (b"null", JSON, 400),
    "a number": (b"1", JSON, 400),
    "a string": (b'"query"', JSON, 400),
    "a batch": (b"[" + QUERY + b"]", JSON, 400),
    "an empty batch": (b"[]", JSON, 400),
    "deep arrays": (DEEP, JSON, 400),
    "deep variables": (b'{"query": "{a}", "variables": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001, JSON, 400),
    "a number of 5,000 digits": (b"1" * 5_000, JSON, 400),
    "a variable of 5,000 digits": (
        b'{"query": "{ viewer { token { name } } }", "variables": {"a": ' + b"1" * 5_000 + b"}}",
        JSON,
        400,
    ),
    "bad UTF-8": (b'{"query": "\xff\xfe"}', JSON, 400),
    "half a surrogate pair": (b'{"query": "{ viewer { a } }\\ud800"}', JSON, 400),
    "half a surrogate pair in a literal": (b'{"query": "{ webhook(id: \\"\\\\ud800\\") { id } }"}', JSON, 400),
    "UTF-16": ('{"query": "{ viewer { a } }"}'.encode("utf-16"), JSON, 400),
    "a NUL": (b'{"query": "{ \\u0000 }"}', JSON, 400),
    "an empty query": (b'{"query": ""}', JSON, 400),
    "a comment alone": (b'{"query": "#"}', JSON, 400),
    "a null query": (b'{"query": null}', JSON, 400),
    "a list of variables": (b'{"query": "{ viewer { token { id } } }", "variables": []}', JSON, 400),
    "a number as operation name": (b'{"query": "{ viewer { token { id } } }", "operationName": 1}', JSON, 400),
    "an unknown operation": (b'{"query": "query a { viewer { token { id } } }", "operationName": "b"}', JSON, 400),
    "two operations and no name": (
        b'{"query": "query a { viewer { token { id } } } query b { viewer { token { id } } }"}',
        JSON,
        400,
    ),
    "a type definition": (b'{"query": "type A { b: Int }"}', JSON, 400),
    "two nameless operations": (b'{"query": "{ viewer { token { id } } } { viewer { token { id } } }"}', JSON, 400),
    "a missing variable": (b'{"query": "query($a: Int!) { webhooks(first: $a) { nodes { id } } }"}', JSON, 400),
    "an Int of more than 32 bits": (
        b'{"query": "query($a: Int) { webhooks(first: $a) { nodes { id } } }", "variables": {"a": 99999999999}}',
        JSON,
        400,
    ),
    "a page size nested 1,000 deep": (
        b'{"query": "query($a: Int) { webhooks(first: $a) { nodes { id } } }", "variables": {"a": '
        + b"[" * 1_000
        + b"]" * 1_000
        + b"}}",
        JSON,
        400,
    ),
    "ids nested 1,000 deep": (
        b'{"query": "query($a: [ID!]!) { nodes(ids: $a) { id } }", "variables": {"a": '
        + b'[{"a":' * 500
        + b"1"
        + b"}]" * 500
        + b"}}",
        JSON,
        400,
    ),
    "an object as an id": (
        b'{"query": "query($a: ID!) { webhook(id: $a) { id } }", "variables": {"a": {"b": []}}}',
        JSON,
        400,
    ),
    "a literal of 5,000 digits": (
        b'{"query": "{ webhooks(first: ' + b"9" * 5_000 + b') { nodes { id } } }"}',
        JSON,
        400,
    ),
    "a subscription over POST": (b'{"query": "subscription { deliveryStatusChanged { cursor } }"}', JSON, 400),
    "plain text": (QUERY, "text/plain", 415),
    "a form": (QUERY, "application/x-www-form-urlencoded", 415),
    "an upload": (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x", 415),
    "another charset": (QUERY, "application/json; charset=utf-16", 415),
    "no content type": (QUERY, "", 415),
    "a body too large": (b" " * (1024 * 1024 + 1), JSON, 413),
}


async def test_malformed_requests_are_refused_with_json_and_never_a_500(api: Api) -> None:
    wrong = {}
    for name, (body, content_type, status) in MALFORMED.items():
        found, answer = await api.raw("POST", body, content_type=content_type, accept=GRAPHQL)
        told = [(error["extensions"]["code"], len(error["message"])) for error in answer["errors"]]
        right = found == status and "data" not in answer
        if not right or any(code not in {"BAD_USER_INPUT", "QUERY_TOO_COMPLEX"} or size > 1_010 for code, size in told):
            wrong[name] = (found, answer)
    assert wrong == {}


async def test_a_hash_in_place_of_a_query_is_answered_so_that_clients_send_the_query(api: Api) -> None:
    """Apollo Client and urql's persistedExchange look for exactly this message, in errors that they can read."""
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": "ab" * 32}}
    for accept, status in ((JSON, 200), (GRAPHQL, 400)):
        headers = api.bearer | {"accept": accept}
        by_post = api.http.post(api.graphql, json={"extensions": extensions}, headers=headers)
        by_get = api.http.get(api.graphql, params={"extensions": json.dumps(extensions)}, headers=headers)
        for asked in (by_post, by_get):
            async with asked as answer:
                (error,) = (await answer.json())["errors"]
                assert (answer.status, error["message"]) == (status, "PersistedQueryNotSupported")
    query = "{ viewer { token { name } } }"
    async with api.http.post(
        api.graphql, json={"query": query, "extensions": extensions}, headers=api.bearer
    ) as answer:
        assert "errors" not in await answer.json()


async def test_a_compressed_request_is_refused_for_being_so(api: Api) -> None:
    status, answer = await api.raw("POST", gzip.compress(QUERY), content_type=JSON, content_encoding="gzip")
    assert (status, answer["errors"][0]["message"]) == (415, "Send the request uncompressed.")


def test_a_url_of_too_many_parameters_is_refused_for_being_so() -> None:
    most = "&".join(f"a{number}=1" for number in range(MAX_PARAMETERS)).encode()
    with pytest.raises(Malformed, match="needs a query"):
        from_query_string(most)
    with pytest.raises(Malformed, match="at most 100 parameters"):
        from_query_string(most + b"&a=1")


GETS = (
    ("", 400),
    ("query=", 400),
    ("query=%FF", 400),
    ("query={viewer{token{id}}}&query={viewer{token{id}}}", 400),
    ("query={viewer{token{id}}}&variables={", 400),
    ("query={viewer{token{id}}}&variables=[]", 400),
    ("&".join(["a=1"] * 200), 400),
    ("query={viewer{token{id}}}&operationName=", 200),
    ("query={viewer{token{id}}}&variables=&extensions=", 200),
    ("query=mutation{tokenRevoke(id:%22a%22){errors{code}}}", 405),
    ("query=subscription{deliveryStatusChanged{cursor}}", 400),
)


async def test_get_takes_queries_alone(api: Api) -> None:
    for query_string, status in GETS:
        url = URL(f"{api.graphql}?{query_string}", encoded=True)
        async with api.http.get(url, headers=api.bearer | {"accept": GRAPHQL}) as answer:
            assert answer.status == status, (query_string, await answer.text())
            assert status != 405 or answer.headers["allow"] == "POST"


async def test_other_methods_are_told_which_ones_work(api: Api) -> None:
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        async with api.http.request(method, api.graphql, headers=api.bearer) as answer:
            assert (answer.status, answer.headers["allow"]) == (405, "GET, POST")
            assert (await answer.json())["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


ACCEPTED = (
    ("*/*", 200, JSON),
    ("", 200, JSON),
    ("application/*", 200, JSON),
    ("application/graphql-response+json", 200, GRAPHQL),
    ("application/json;q=0.5, application/graphql-response+json", 200, GRAPHQL),
    ("application/graphql-response+json; charset=utf-8, application/json", 200, GRAPHQL),
    ("text/html, */*;q=0.1", 200, JSON),
    ("text/html", 406, JSON),
    ("application/json;q=0", 406, JSON),
    ("application/json; charset=latin-1", 406, JSON),
    ("application/json;q=nonsense", 406, JSON),
)


async def test_the_media_type_is_what_the_client_prefers(api: Api) -> None:
    for accept, status, media_type in ACCEPTED:
        headers = api.bearer | {"accept": accept, "content-type": JSON}
        async with api.http.post(api.graphql, data=QUERY, headers=headers) as answer:
            found = (answer.status, answer.headers["content-type"])
            # No cache may keep it for others, and there is nothing to wait for.
            assert answer.headers["cache-control"] == "no-store"
            assert "retry-after" not in answer.headers
        assert found == (status, f"{media_type}; charset=utf-8"), accept


async def test_a_chunked_body_is_cut_off_where_it_becomes_too_large(api: Api) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(2_000):
            yield b" " * 1024

    headers = api.bearer | {"content-type": JSON}
    async with api.http.post(api.graphql, data=endless(), headers=headers) as answer:
        assert answer.status == 413


async def test_an_answer_tells_what_it_cost_and_may_cost(api: Api) -> None:
    query = "query($n: Int) { deliveries(first: $n) { nodes { id status } } }"
    for size, cost in ((10, 20), (100, 110), (None, 60)):
        _, body = await api.post(query, n=size)
        assert body["extensions"] == {"cost": {"requested": cost, "maximum": 10_000}}


async def test_a_query_too_dear_is_refused_before_it_runs(api: Api) -> None:
    query = "query($n: Int) { webhooks(first: 100) { nodes { deliveries(first: $n) { nodes { id } } } } }"
    status, body = await api.post(query, n=100)
    assert (status, body["errors"][0]["extensions"]["code"]) == (400, "QUERY_TOO_COMPLEX")
    assert (await api.post(query, n=10))[0] == 200


async def test_many_ids_cost_what_they_cost_though_they_begin_as_few_did(api: Api) -> None:
    query = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Webhook { deliveries(first: 100) { nodes { id } } } } }"
    ids = [make("Webhook", number) for number in range(1, 101)]
    status, body = await api.post(query, ids=ids[:20])
    assert (status, body["extensions"]["cost"]["requested"]) == (200, 2_220)
    status, body = await api.post(query, ids=ids)
    assert (status, body["errors"][0]["extensions"]["code"]) == (400, "QUERY_TOO_COMPLEX")


async def test_the_introspection_of_graphiql_passes(api: Api) -> None:
    query = get_introspection_query(
        descriptions=True, specified_by_url=True, directive_is_repeatable=True, schema_description=True,
        input_value_deprecation=True,
    )  # fmt: skip
    data = await api.ask(query)
    assert build_client_schema(cast(IntrospectionQuery, data)).query_type is not None


async def test_an_unexpected_error_is_masked_and_its_request_id_stands_in_the_log(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(settings, exploding_schema()) as api:
        status, body = await api.post("{ boom }")
    error = body["errors"][0]
    assert status == 200
    assert body["data"] == {"boom": None}
    assert error["extensions"]["code"] == "INTERNAL"
    assert "secret of the inside" not in str(body)
    logged = "".join(capsys.readouterr())
    assert error["extensions"]["requestId"] in logged
    assert "secret of the inside" in logged


async def test_a_slow_operation_is_stopped(settings: Settings) -> None:
    async with running(replace(settings, query_timeout=timedelta(milliseconds=50)), exploding_schema()) as api:
        status, body = await api.post("{ endless }")
    assert (status, body["errors"][0]["extensions"]["code"]) == (503, "TIMED_OUT")


def exploding_schema() -> strawberry.Schema:
    @strawberry.type
    class Query:
        @strawberry.field
        def boom(self) -> str | None:
            raise RuntimeError("the secret of the inside")

        @strawberry.field
        async def endless(self) -> str | None:
            await asyncio.Event().wait()
            return None

    return strawberry.Schema(query=Query)
