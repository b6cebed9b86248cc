import pytest
from graphql import GraphQLError
from structlog.testing import capture_logs

from domain.errors import Fault, FaultCode, Forbidden, Refused, Unauthenticated, Unavailable
from domain.live import BadCursor, CursorExpired
from schema.errors import bad_input, present, user_errors
from tests.domain.breaking import break_reading
from tests.schema.conftest import Client


def raised(cause: Exception) -> GraphQLError:
    return GraphQLError(str(cause), original_error=cause)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (GraphQLError("Syntax Error"), "BAD_USER_INPUT"),
        (raised(bad_input("no")), "BAD_USER_INPUT"),
        (raised(Refused(Fault(FaultCode.OUT_OF_RANGE, "no", ("first",)))), "BAD_USER_INPUT"),
        (raised(BadCursor()), "BAD_USER_INPUT"),
        (raised(CursorExpired("5-0")), "CURSOR_EXPIRED"),
        (raised(Unauthenticated()), "UNAUTHENTICATED"),
        (raised(Forbidden()), "FORBIDDEN"),
        (raised(Unavailable()), "UNAVAILABLE"),
        (raised(ConnectionRefusedError("postgres at 10.1.2.3")), "UNAVAILABLE"),
        (GraphQLError("Slow down.", extensions={"code": "RATE_LIMITED", "retryAfter": 3}), "RATE_LIMITED"),
    ],
)
def test_every_error_gets_its_code_and_keeps_a_message(error: GraphQLError, code: str) -> None:
    shown = present(error, "req-1")
    assert shown.extensions is not None
    assert shown.extensions["code"] == code
    assert shown.message
    assert "10.1.2.3" not in shown.message


DOCUMENT = "mutation ($new: WebhookCreateInput!) { webhookCreate(input: $new) { secret } }"
NEW = {"name": "n", "callbackUrl": "http://x/", "secret": "planted", "events": ["POST_CREATED"]}


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ("planted", "Expected value of type 'WebhookCreateInput' to be an object."),
        (
            {**NEW, "secrets": "planted"},
            "Expected value of type 'WebhookCreateInput' not to include unknown field 'secrets'."
            " Did you mean 'secret'?",
        ),
        (
            {**NEW, "headerz": ["planted"]},
            "Expected value of type 'WebhookCreateInput' not to include unknown field 'headerz'."
            " Did you mean 'headers'?",
        ),
        (
            {**NEW, "quite": ", found: planted"},
            "Expected value of type 'WebhookCreateInput' not to include unknown field 'quite'.",
        ),
        (
            {"secret": "planted", "name": "n", "callbackUrl": "x"},
            "Expected value of type 'WebhookCreateInput' to include required field 'events'.",
        ),
        ({**NEW, "name": None}, "at .name: Expected value of non-null type 'String!' not to be null."),
        ({**NEW, "secret": ["planted"]}, "at .secret: String cannot represent a non string value."),
        ({**NEW, "secret": {"a": " value: planted"}}, "at .secret: String cannot represent a non string value."),
        ({**NEW, "maxAttempts": "planted"}, "at .maxAttempts: Int cannot represent non-integer value."),
        ({**NEW, "active": "planted\n, found: planted"}, "at .active: Boolean cannot represent a non boolean value."),
        ({**NEW, "method": ["planted"]}, "at .method: Enum 'HttpMethod' cannot represent non-string value."),
        (
            {**NEW, "headers": [{"name": "planted"}]},
            "at .headers[0]: Expected value of type 'HttpHeaderInput' to include required field 'value'.",
        ),
    ],
)
async def test_a_value_of_the_wrong_type_is_not_repeated(ask: Client, new: object, message: str) -> None:
    answer = await ask.answer(DOCUMENT, new=new)
    assert any(error["message"].endswith(message) for error in answer["errors"])
    assert "planted" not in str(answer)


@pytest.mark.parametrize(
    "document",
    [
        'mutation { webhookCreate(input: { secret "planted" }) { secret } }',
        'mutation { webhookCreate(input: { secret """planted""" }) { secret } }',
        '{ posts("planted") }',
        '{ a } "planted" "planted"',
        'mutation { webhookCreate(input: { secret: { a: "planted" } }) { secret } }',
        'mutation { webhookCreate(input: { secrets: "planted", name: "n", events: [], callbackUrl: "" }) { secret } }',
        'mutation { webhookCreate(input: "planted") { secret } }',
        'mutation { webhookCreate(input: { events: "planted" }) { secret } }',
        "mutation { webhookCreate(input: { events: \"planted. Did you mean the enum value 'planted'?\" }) { secret } }",
        "mutation { webhookCreate(input: { secret: [planted] }) { secret } }",
        '{ node(id: { a: "planted" }) { id } }',
        '{ node(id: "a") @include(if: "planted") { id } }',
        '{ deliveries(first: "planted") { totalCount } }',
        'query ($id: ID! = ["planted"]) { node(id: $id) { id } }',
    ],
)
async def test_a_value_in_a_faulty_document_is_not_repeated(ask: Client, document: str) -> None:
    answer = await ask.answer(document)
    assert all(error["extensions"]["code"] == "BAD_USER_INPUT" for error in answer["errors"])
    assert answer["errors"]
    assert "planted" not in str(answer)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            '"POST_DELETED"',
            "Enum 'EventType' cannot represent non-enum value. Did you mean the enum value 'POST_DELETED'",
        ),
        (
            '"post.deleted"',
            "Enum 'EventType' cannot represent non-enum value. Did you mean the enum value 'POST_DELETED'",
        ),
        (
            "POST_DELETD",
            "Value 'POST_DELETD' does not exist in 'EventType' enum. Did you mean the enum value 'POST_DEL",
        ),
        ("7", "Enum 'EventType' cannot represent non-enum value."),
    ],
)
async def test_who_misspells_an_enum_value_is_told_its_name(ask: Client, value: str, message: str) -> None:
    _, told = await ask.refused("{ events(filter: { types: VALUE }) { totalCount } }".replace("VALUE", value))
    assert told.startswith(message)


async def test_an_instant_that_is_none_is_shown_where_it_stands_in_the_document(ask: Client) -> None:
    answer = await ask.answer('{ events(filter: { occurredAfter: "yesterday" }) { totalCount } }')
    (error,) = answer["errors"]
    assert error["message"].startswith("Write an instant in RFC 3339 form")
    assert error["locations"] == [{"line": 1, "column": 35}]


def test_an_expired_cursor_comes_with_one_to_go_on_from() -> None:
    assert present(raised(CursorExpired("5-0")), "req-1").extensions == {"code": "CURSOR_EXPIRED", "cursor": "5-0"}


def test_what_nobody_expected_is_masked_and_logged_under_the_requests_id() -> None:
    with capture_logs() as logs:
        shown = present(raised(RuntimeError("password=hunter2")), "req-1")
    assert shown.extensions == {"code": "INTERNAL", "requestId": "req-1"}
    assert "hunter2" not in shown.message
    assert "req-1" in shown.message
    assert [(entry["log_level"], entry["request_id"]) for entry in logs] == [("error", "req-1")]


@pytest.mark.parametrize(
    ("field", "arguments", "path"),
    [
        (("callback_url",), {"input"}, ["input", "callbackUrl"]),
        (("callback_url",), {"id", "input"}, ["input", "callbackUrl"]),
        (("headers", "0", "name"), {"input"}, ["input", "headers", "0", "name"]),
        (("id",), {"id", "input"}, ["id"]),
        (("scheduled_at",), {"id", "scheduled_at"}, ["scheduledAt"]),
        (("ids", "2"), {"ids_", "to_trash"}, ["ids", "2"]),
        ((), {"input"}, None),
    ],
)
def test_a_fault_stands_where_its_argument_stands(
    field: tuple[str, ...], arguments: set[str], path: list[str] | None
) -> None:
    refused = Refused(Fault(FaultCode.INVALID, "no", field))
    (error,) = user_errors(refused, frozenset(arguments))
    assert (error.code, error.message, error.field) == (FaultCode.INVALID, "no", path)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param("{ nope }", id="an unknown field"),
        pytest.param("{", id="no syntax"),
        pytest.param('{ webhooks(first: "x") { totalCount } }', id="the wrong type"),
        pytest.param("{ webhooks(first: 3000000000) { totalCount } }", id="beyond 32 bits"),
        pytest.param('{ deliveries(filter: { createdAfter: "2026-01-01T00:00:00" }) { totalCount } }', id="no offset"),
    ],
)
async def test_the_faults_of_a_program_are_top_level_errors(ask: Client, document: str) -> None:
    assert (await ask.refused(document))[0] == "BAD_USER_INPUT"


async def test_a_document_that_fails_within_shows_nothing_of_our_inside(ask: Client) -> None:
    await break_reading("webhook")
    with capture_logs() as logs:
        code, message = await ask.refused("{ webhooks { totalCount } }")
    assert code == "INTERNAL"
    assert "inside" not in message
    assert [entry["request_id"] for entry in logs] == ["req-1"]


async def test_an_error_tells_where_in_the_answer_and_in_the_document_it_arose(ask: Client) -> None:
    answer = await ask.answer("{ webhooks { nodes { id } }\n  wrong: deliveries(first: 101) { nodes { id } } }")
    (error,) = answer["errors"]
    assert (error["path"], error["locations"]) == (["wrong"], [{"line": 2, "column": 3}])
