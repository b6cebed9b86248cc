"""POST /session: a one-time code (domain/sign_in.py), exchanged for the token that it is worth."""

from datetime import UTC, datetime
from typing import Final

import orjson
from redis.exceptions import RedisError
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api import asking
from api.deadline import Late, within
from api.execution import error_body
from api.facts import Facts
from api.origins import origin_allowed
from api.process import Process, process_of
from api.rates import RateLimited
from api.statuses import REFUSED
from domain import sign_in
from domain.errors import HooklineError, Unavailable
from domain.sign_in import BadCode

MAX_BODY_BYTES: Final = 4_096
ANSWER_SECONDS: Final = 2.0
AWAY: Final = "Signing in by link is not possible just now; try again in a moment, or sign in with a token."


class SessionEndpoint:
    """The ASGI application at /session. Answers {"token": ...}, or {"errors": [...]} as /graphql does."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            response = _answer(200, orjson.dumps({"token": await _token(scope, receive)}))
        except asking.GoneAway:
            return
        except HooklineError as error:
            response = _refused(error, Facts.of(scope))
        await response(scope, receive, send)


class _ForeignOrigin(HooklineError):
    """This origin may not sign in here."""


async def _token(scope: Scope, receive: Receive) -> str:
    process, headers, address = process_of(scope), Headers(scope=scope), Facts.of(scope).address
    if scope["method"] != "POST":
        raise asking.Malformed("Use POST.", 405)
    if not origin_allowed(headers, scope["scheme"], process.settings.allowed_origins):
        raise _ForeignOrigin
    process.gate.rates.check_address(address)
    asking.check_content_type(headers)
    code = _code_in(await asking.read_body(receive, headers, MAX_BODY_BYTES))
    try:
        return await _exchanged(process, code)
    except BadCode:
        await process.gate.rates.count_failure(address)
        raise


def _code_in(body: bytes) -> str:
    value = asking.decoded(body, "The body")
    code = value.get("code") if isinstance(value, dict) else None
    if not isinstance(code, str) or not code:
        raise asking.Malformed('Send {"code": "..."}, with the code from the link.')
    return code


async def _exchanged(process: Process, code: str) -> str:
    domain = process.domain
    try:
        return await within(ANSWER_SECONDS, sign_in.exchange(domain.redis, domain.vault, code, datetime.now(UTC)))
    except (Late, RedisError, OSError, TimeoutError):
        # `from None`: nothing that was sent may appear in a traceback.
        raise Unavailable(AWAY) from None


def _refused(error: HooklineError, facts: Facts) -> Response:
    code, headers = _meaning(error)
    facts.codes = {code}
    status = error.status if isinstance(error, asking.Malformed) else REFUSED[code]
    return _answer(status, error_body(str(error), code), headers)


def _meaning(error: HooklineError) -> tuple[str, dict[str, str]]:
    match error:
        case asking.Malformed():
            return "BAD_USER_INPUT", {"allow": "POST"} if error.status == 405 else {}
        case _ForeignOrigin():
            return "FORBIDDEN", {}
        case RateLimited():
            return "RATE_LIMITED", {"retry-after": str(error.retry_after)}
        case BadCode():
            return "UNAUTHENTICATED", {"www-authenticate": 'Bearer realm="hookline"'}
        case Unavailable():
            return "UNAVAILABLE", {"retry-after": "1"}
        case _:
            raise error


def _answer(status: int, body: bytes, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, {"cache-control": "no-store", **(headers or {})}, "application/json")
