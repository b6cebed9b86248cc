"""The one map from what goes wrong to what a client sees.

What a person can fix (Refused) is in the payload of a mutation, each fault with the path of its field. Everything else
is a top-level error with `extensions.code`. Unexpected errors are masked, and logged with the request's id.
"""

import re
from typing import Any, Final

import strawberry
import structlog
from graphql import GraphQLError
from strawberry.utils.str_converters import to_camel_case

from domain.database import out_of_reach
from domain.errors import FaultCode, Forbidden, Refused, Unauthenticated, Unavailable, reason_of
from domain.live import BadCursor, CursorExpired

log = structlog.get_logger("graphql")

BAD_USER_INPUT: Final = "BAD_USER_INPUT"
INTERNAL: Final = "INTERNAL"

# The first class that matches gives the code.
CODES: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...]] = (
    (Unauthenticated, "UNAUTHENTICATED"),
    (Forbidden, "FORBIDDEN"),
    (CursorExpired, "CURSOR_EXPIRED"),
    ((Refused, BadCursor), BAD_USER_INPUT),
)

# graphql-core puts a value at the end of its message, and a value may hold any text: all from there on is cut.
_VALUES: Final = (
    (re.compile(r", found: .*", re.DOTALL), "."),
    (re.compile(r" Found: .*", re.DOTALL), ""),
    # The suggestion after the value is kept: it is a name in our schema.
    (re.compile(r"(?s)(?<! invalid) value: (?:.*( Did you mean the enum value [\w', ]{1,200}\?)|.*)$"), r" value.\1"),
    (re.compile(r"\b((?:Block)?String) '.*", re.DOTALL), r"\1."),
    # Not a value, but Python's word for null.
    (re.compile(r"not to be None\.$"), "not to be null."),
)
# Only the text of graphql-core's messages says where in a variable the invalid value is.
_PLACE: Final = re.compile(r"Variable '\$(\w+)' has invalid value(?: at ((?:\.\w+|\[\d+\])+))?: ")
_MISSING: Final = re.compile(r" to include required field '(\w+)'\.$")
# A nullable variable, used in an argument where null is not allowed: found only at execution.
_GIVEN: Final = re.compile(
    r"Argument '\w+' has invalid value(?: at (?:\.\w+|\[\d+\])+)?: Expected variable '\$(\w+)' provided to "
)


@strawberry.type(
    description=(
        "A problem with an input that a person can fix. All of them are reported at once. Faults of a program or of "
        "the system are top-level errors instead, with a code in their extensions."
    )
)
class UserError:
    code: FaultCode = strawberry.field(description="What kind of fault it is.")
    message: str = strawberry.field(description="One sentence to show to a person.")
    field: list[str] | None = strawberry.field(
        default=None,
        description=(
            'The path to the faulty value in the arguments, for example ["input", "callbackUrl"] or ["id"]; '
            "positions in a list are strings too. A stored value that an update did not send has the path at which it "
            "would be sent. Null if no single field is at fault."
        ),
    )


def user_errors(refused: Refused, arguments: frozenset[str]) -> list[UserError]:
    """The faults of a refusal, for a mutation with these arguments (in snake case)."""
    return [
        UserError(code=fault.code, message=fault.message, field=_path(fault.field, arguments))
        for fault in refused.faults
    ]


def _path(field: tuple[str, ...], arguments: frozenset[str]) -> list[str] | None:
    if not field:
        return None
    # A field that is not an argument itself is in the input object.
    path = field if field[0] in arguments or "input" not in arguments else ("input", *field)
    return [to_camel_case(step) for step in path]


def bad_input(message: str) -> GraphQLError:
    """A top-level error for a mistake of the client's program."""
    return GraphQLError(message, extensions={"code": BAD_USER_INPUT})


def present(error: GraphQLError, request_id: str) -> GraphQLError:
    """The error as a client may see it: always with a code, and without anything internal."""
    cause = _cause(error)
    if isinstance(cause, GraphQLError):
        # Errors of syntax, validation and coercion have no code of their own.
        if cause.extensions:
            return _with(error, error.message, {"code": BAD_USER_INPUT, **cause.extensions})
        message = without_value(error.message)
        place = place_in_variables(message)
        return _with(error, message, {"code": BAD_USER_INPUT, **({"variable": place} if place else {})})
    for classes, code in CODES:
        if isinstance(cause, classes):
            return _with(error, str(cause), {"code": code, **_details(cause)})
    if isinstance(cause, Unavailable) or out_of_reach(cause):
        log.warning("out of reach", error=reason_of(cause), request_id=request_id)
        away = cause if isinstance(cause, Unavailable) else Unavailable()
        return _with(error, str(away), {"code": "UNAVAILABLE"})
    log.error("unexpected error", request_id=request_id, path=error.path, exc_info=cause)
    return _with(error, f"Something went wrong on our side (request {request_id}).", _internal(request_id))


def without_value(message: str) -> str:
    """A message of graphql-core without the client's value: programs log errors, and the value may be a secret."""
    for shows_value, instead in _VALUES:
        message = shows_value.sub(instead, message)
    return message


def place_in_variables(message: str) -> list[str]:
    """The path to the invalid value in the variables, in the form of UserError.field; empty if `message` names none.

    `message` is graphql-core's, without the value.
    """
    if given := _GIVEN.match(message):
        return [given[1]]
    found = _PLACE.match(message)
    if not found:
        return []
    variable, path = found.groups()
    return [variable, *re.findall(r"\w+", path or ""), *_MISSING.findall(message)]


def _cause(error: GraphQLError) -> Exception:
    cause: Exception = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _details(cause: Exception) -> dict[str, str]:
    return {"cursor": cause.resume_from} if isinstance(cause, CursorExpired) else {}


def _internal(request_id: str) -> dict[str, str]:
    return {"code": INTERNAL, "requestId": request_id}


def _with(error: GraphQLError, message: str, extensions: dict[str, Any]) -> GraphQLError:
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )
