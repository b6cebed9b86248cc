import pytest
from graphql import GraphQLError
from structlog.testing import capture_logs

from domain.database import rows
from domain.errors import Fault, FaultCode, Forbidden, Refused, Unauthenticated, Unavailable
from domain.live import BadCursor, CursorExpired
from schema.errors import bad_input, present, user_errors
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
    await rows("ALTER TABLE webhook RENAME TO elsewhere")
    with capture_logs() as logs:
        code, message = await ask.refused("{ webhooks { totalCount } }")
    assert code == "INTERNAL"
    assert "webhook" not in message
    assert [entry["request_id"] for entry in logs] == ["req-1"]
