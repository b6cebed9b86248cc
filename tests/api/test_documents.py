"""Which documents are kept; and errors in variables, with their place, so that a form can show them at the field."""

from datetime import timedelta
from typing import Any

import pytest

from api.documents import KEPT_DOCUMENTS, KEPT_TOKENS, BadDocument, Documents
from api.execution import Asked, Engine
from schema.schema import schema
from tests.api.conftest import Api

CREATE = "mutation($input: WebhookCreateInput!) { webhookCreate(input: $input) { errors { field } } }"
SCHEDULE = "mutation($id: ID!, $at: DateTime!) { postSchedule(id: $id, scheduledAt: $at) { errors { field } } }"
NEW = {"name": "n", "callbackUrl": "https://example.com", "events": ["POST_DELETED"]}


@pytest.mark.parametrize(
    ("query", "variables", "places"),
    [
        (CREATE, {"input": {**NEW, "maxAttempts": 3_000_000_000}}, [["input", "maxAttempts"]]),
        (CREATE, {"input": {**NEW, "name": None, "secret": 7}}, [["input", "name"], ["input", "secret"]]),
        (CREATE, {"input": {**NEW, "events": ["POST_DELETED", "x"]}}, [["input", "events", "1"]]),
        (CREATE, {"input": {**NEW, "headers": [{"name": "a"}]}}, [["input", "headers", "0", "value"]]),
        (CREATE, {"input": {"name": "n", "events": []}}, [["input", "callbackUrl"]]),
        (CREATE, {"input": {**NEW, "names": "n"}}, [["input"]]),
        (CREATE, {"input": {**NEW, "name": {"a": " to include required field 'b'."}}}, [["input", "name"]]),
        (CREATE, {"input": None}, [["input"]]),
        (CREATE, {}, [["input"]]),
        (SCHEDULE, {"id": "a", "at": "tomorrow"}, [["at"]]),
        (SCHEDULE, {"id": [], "at": "2030-02-31T00:00:00Z"}, [["id"], ["at"]]),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_its_place_among_the_variables(
    query: str, variables: dict[str, Any], places: list[list[str]]
) -> None:
    engine = Engine(schema, timedelta(seconds=1))
    context: Any = None
    with pytest.raises(BadDocument) as refused:
        engine.executor(engine.prepare(Asked(query, None, variables)), context)
    assert [error.extensions and error.extensions["variable"] for error in refused.value.errors] == places


async def test_clients_get_the_place_too(api: Api) -> None:
    _, answer = await api.post(CREATE, input={**NEW, "maxAttempts": "many"})
    assert [error["extensions"] for error in answer["errors"]] == [
        {"code": "BAD_USER_INPUT", "variable": ["input", "maxAttempts"]}
    ]


async def test_clients_get_the_place_of_a_null_that_only_the_execution_meets(api: Api) -> None:
    query = """mutation($n: Int) { webhookCreate(input: {name: "", callbackUrl: "", events: [], maxAttempts: $n}) {
      errors { field } } }"""
    _, answer = await api.post(query, n=None)
    assert [error["extensions"] for error in answer["errors"]] == [{"code": "BAD_USER_INPUT", "variable": ["n"]}]


def test_large_documents_are_kept_until_they_have_too_many_tokens_together() -> None:
    fields = "id uuid name callbackUrl method contentType maxAttempts active hasSecret events createdAt updatedAt"
    large = "{" + " ".join(f"a{number}: webhook(id: 1) {{ {fields} }}" for number in range(30)) + "}"
    documents = Documents(schema._schema)
    first = documents.prepare(large)
    fitting = KEPT_TOKENS // first.tree.token_count
    assert fitting < KEPT_DOCUMENTS
    others = [documents.prepare(f"{large}{' ' * number}") for number in range(1, fitting)]
    assert documents.prepare(large) is first
    documents.prepare(f"{large}{' ' * fitting}")
    assert documents.prepare(large) is first
    assert documents.prepare(others[1].text) is others[1]
    assert documents.prepare(others[0].text) is not others[0]


def test_small_documents_are_kept_until_there_are_too_many() -> None:
    documents = Documents(schema._schema)
    small = [documents.prepare(f"{{ liveCursor }}{' ' * number}") for number in range(KEPT_DOCUMENTS)]
    assert documents.prepare(small[0].text) is small[0]
    documents.prepare("query Another { liveCursor }")
    assert documents.prepare(small[0].text) is small[0]
    assert documents.prepare(small[2].text) is small[2]
    assert documents.prepare(small[1].text) is not small[1]
