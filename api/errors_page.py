"""The page about errors, for people who write clients: `python -m api.errors_page > docs/errors.md`."""

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from api.statuses import REFUSED
from schema.schema import schema

INTRODUCTION = """\
# Errors

Made from the code by `.venv/bin/python -m api.errors_page > docs/errors.md`.

There are two kinds of errors:

- **Faults that a person can fix** are in the payload of a mutation, as `errors: [UserError!]!`. All faults of an input
  come at once. Each has a `code`, a `message` (one sentence, to show as it is) and a `field`: the path to the value,
  such as `["input", "callbackUrl"]`.
- **Everything else** is a top-level GraphQL error, always with a code in `extensions.code`. That includes a value of
  the wrong type: a time without an offset, `null` where the type ends in `!`, an unknown value of an enum. For these,
  `extensions.variable` is the path from the request's variables, such as `["input", "maxAttempts"]`. A form should
  catch them before it sends anything. It should leave out an optional field that is empty.
"""

OF_REQUESTS = """\
Over HTTP, the response has the status below. Over a WebSocket or an event stream, the operation ends with the same
error. If the socket cannot go on, it [closes with a code](subscriptions.md#when-a-websocket-is-closed).

A mutation that was answered with `UNAVAILABLE` or `TIMED_OUT` may have been carried out. Give it an `idempotencyKey`
where it takes one, and send it again.
"""

# What each code of a top-level error means, and what a client does about it.
CODES = {
    "BAD_USER_INPUT": ("The request, its document or its variables cannot be understood.", "Fix the client."),
    "QUERY_TOO_COMPLEX": (
        "The query is too deep, too long, or may cost too much (`extensions.cost` of a response says what it cost), or "
        "its response has more than 32 MiB. If a mutation's is that large, it was carried out, and `data` is null.",
        "Ask for less at once.",
    ),
    "UNAUTHENTICATED": (
        "No valid token came with the request.",
        "Send `Authorization: Bearer hl_...`, or get another token.",
    ),
    "FORBIDDEN": ("The token's role does not allow this; the message names the role that does.", "Use another token."),
    "RATE_LIMITED": (
        "Too many requests, sockets, operations on one socket or failed logins.",
        "Wait as many seconds as `Retry-After` or `extensions.retryAfter` says. If it is about sockets or operations, "
        "end some.",
    ),
    "CURSOR_EXPIRED": (
        "The changes after this cursor are no longer kept. `extensions.cursor` is the newest cursor.",
        "Read the current state with a query, then subscribe from that cursor.",
    ),
    "UNAVAILABLE": (
        "One of Hookline's servers is out of reach, or has as many sockets as it can hold; or what was asked for was "
        "removed while it was read.",
        "Try again after a moment (`Retry-After`).",
    ),
    "TIMED_OUT": (
        "The operation took too long and was stopped. Large queries of a workspace wait for each other.",
        "Ask for less at once, or try again.",
    ),
    "INTERNAL": (
        "Something went wrong in Hookline. `extensions.requestId` names the request in its log.",
        "Give the id to whoever runs Hookline.",
    ),
}

# The codes whose status is not just the one in the table (api/statuses.py).
OTHER_STATUSES = {
    "BAD_USER_INPUT": "200, or 400 as `application/graphql-response+json`, if nothing was executed; 400, 404, 405,"
    " 406, 413 or 415 if the request itself is at fault",
    "QUERY_TOO_COMPLEX": "400; 200 if a mutation was carried out",
    "FORBIDDEN": "200; 403 for a web page whose origin is not allowed",
    "INTERNAL": "500; 200 if `data` has the rest of the response",
    # Only sent within a subscription.
    "CURSOR_EXPIRED": "",
}


def page() -> str:
    """The whole page, in Markdown."""
    return "\n".join(
        [
            INTRODUCTION,
            *_section("Of a request", OF_REQUESTS, ("`extensions.code`", "HTTP status", "what it means", "what to do")),
            *(_row(f"`{code}`", _status(code), *words) for code, words in CODES.items()),
            "",
            *_section("Of an input", "The `code` of a `UserError`.\n", ("`code`", "what it means")),
            *(_row(f"`{name}`", words) for name, words in _values("UserErrorCode")),
            "",
            *_section("Of an attempt", "The `outcome` of an attempt in the log.\n", ("`outcome`", "what it means")),
            *(_row(f"`{name}`", words) for name, words in _values("AttemptOutcome")),
            "",
        ]
    )


def _section(title: str, words: str, head: Iterable[str]) -> Iterator[str]:
    columns = list(head)
    yield from (f"## {title}\n", words, _row(*columns), _row(*("---" for _ in columns)))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _status(code: str) -> str:
    return OTHER_STATUSES[code] if code in OTHER_STATUSES else str(REFUSED[code])


def _values(enum: str) -> list[tuple[str, str]]:
    kind: Any = schema._schema.type_map[enum]  # noqa: SLF001 (shown nowhere else)
    return [(name, value.description or "") for name, value in kind.values.items()]


if __name__ == "__main__":
    sys.stdout.write(page())
