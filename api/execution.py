"""Executing one operation: preparing it, running it within a deadline, and making its errors fit to be seen.

graphql-core executes, with the executor class that Strawberry gives it. We build the executor ourselves: only then can
a request that could not be executed (no `data` in the answer) be told from one that was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from inspect import isawaitable
from typing import Any, Final, cast

import orjson
import strawberry
from graphql import ExecutionResult, FieldNode, GraphQLError, OperationDefinitionNode
from graphql.execution import Executor
from strawberry.execution import optimized_is_awaitable

from api.complexity import LIMITS
from api.deadline import Late, within
from api.documents import QUERY_TOO_COMPLEX, BadDocument, Document, Documents, at_fault, check_lists
from api.turns import Turns
from domain.database import taking_turns
from schema.context import Context
from schema.errors import present

TIMED_OUT: Final = "TIMED_OUT"
# Instead of the name of a root field.
SEVERAL: Final = "several"
INTROSPECTION: Final = "introspection"
# In characters: a message may repeat what was sent.
LONGEST_MESSAGE = 1_000
MAX_COERCION_ERRORS = 5
# In bytes. The cost counts objects, not how long their texts are, nor under how many names each is asked for.
LONGEST_ANSWER = 32 * 1024 * 1024
# ASCII texts shorter than this are counted by their characters.
SHORT = 64
TOO_LONG: Final = "The response would be larger than 32 MiB. Ask for less at once."
# An operation that costs more than LARGE holds up others for a tenth of a second and longer, one that costs more than
# MEDIUM for some milliseconds: only so many of each workspace are executed at a time.
LARGE, LARGE_AT_ONCE = 1_000, 1
MEDIUM, MEDIUM_AT_ONCE = 100, 4


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters of a GraphQL request, of the right types and otherwise unchecked."""

    query: str
    operation_name: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that may be executed."""

    asked: Asked
    document: Document
    node: OperationDefinitionNode
    cost: int

    @property
    def kind(self) -> str:
        """query, mutation or subscription."""
        return self.node.operation.value

    @property
    def field(self) -> str:
        """The root field that it asks for. This name is ours, while an operation's own name is the client's choice."""
        selections = self.node.selection_set.selections
        if len(selections) != 1 or not isinstance(selections[0], FieldNode):
            return SEVERAL
        name = selections[0].name.value
        return INTROSPECTION if name.startswith("__") else name


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to one operation. `data` counts only if it was `executed`."""

    executed: bool
    data: dict[str, Any] | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    extensions: dict[str, Any] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """The answer as it is encoded: errors first, so that people see them."""
        body: dict[str, Any] = {}
        if self.errors:
            body["errors"] = self.errors
        if self.executed:
            body["data"] = self.data
        if self.extensions:
            body["extensions"] = self.extensions
        return body

    def codes(self) -> set[str]:
        """The codes of all errors."""
        return codes_of(self.errors)


def codes_of(errors: list[dict[str, Any]]) -> set[str]:
    """The codes of errors as clients see them."""
    return {error["extensions"]["code"] for error in errors}


def coded(message: str, code: str, **details: Any) -> GraphQLError:
    """An error of ours that says all that a client may know."""
    return GraphQLError(message, extensions={"code": code, **details})


def error_body(message: str, code: str) -> bytes:
    """A whole answer, as JSON, with nothing but this error."""
    return orjson.dumps({"errors": [coded(message, code).formatted]})


def shown(errors: list[GraphQLError], request_id: str) -> list[dict[str, Any]]:
    """The errors as clients see them; unexpected ones are masked and logged under the request's id."""
    found: list[dict[str, Any]] = []
    for error in errors:
        formatted: dict[str, Any] = dict(present(error, request_id).formatted)
        if len(formatted["message"]) > LONGEST_MESSAGE:
            formatted["message"] = formatted["message"][:LONGEST_MESSAGE] + "..."
        found.append(formatted)
    return found


def refusal(errors: list[GraphQLError], request_id: str) -> Outcome:
    """The answer to a request that was not executed."""
    return Outcome(executed=False, errors=shown(errors, request_id))


def failure(error: Exception, request_id: str) -> Outcome:
    """The answer if something raised before the execution or outside it."""
    # A GraphQLError is used as it is: its str() has lines of the document in it, and its place is told separately.
    raised = error if isinstance(error, GraphQLError) else GraphQLError(str(error), original_error=error)
    return refusal([raised], request_id)


class Engine:
    """Prepares and executes operations of one schema."""

    def __init__(self, schema: strawberry.Schema, timeout: timedelta) -> None:
        self.schema = schema._schema  # noqa: SLF001 (Strawberry shows graphql-core's schema nowhere else)
        self.executor_class = schema.execution_context_class
        self.timeout = timeout.total_seconds()
        self.documents = Documents(self.schema)
        self._large = Turns(LARGE_AT_ONCE)
        self._medium = Turns(MEDIUM_AT_ONCE)

    def prepare(self, asked: Asked) -> Prepared:
        """Parse, limit and validate. Raises BadDocument."""
        document = self.documents.prepare(asked.query)
        node = document.operation(asked.operation_name)
        check_lists(asked.variables)
        return Prepared(asked, document, node, document.cost(node, asked.variables))

    def executor(self, prepared: Prepared, context: Context) -> "Executor[Any]":
        """The executor of this operation. Raises BadDocument if the variables do not fit."""
        executor = self.executor_class.build(
            self.schema,
            prepared.document.tree,
            context_value=context,
            raw_variable_values=dict(prepared.asked.variables),
            operation_name=prepared.asked.operation_name,
            max_coercion_errors=MAX_COERCION_ERRORS,
            is_awaitable=cast(Any, optimized_is_awaitable),
        )
        if isinstance(executor, list):
            raise at_fault(executor)
        return executor

    async def execute(self, prepared: Prepared, context: Context) -> Outcome:
        """Execute a query or a mutation. Raises nothing but cancellation; takes at most the timeout."""
        extensions = {"cost": {"requested": prepared.cost, "maximum": LIMITS.cost}}
        try:
            executor = self.executor(prepared, context)
            with taking_turns():
                result = await within(self.timeout, self._in_turn(prepared, context.workspace_id, executor))
        except BadDocument as error:
            return refusal(error.errors, context.request_id)
        except Late:
            late = coded(f"This took longer than {self.timeout:g} s and was stopped.", TIMED_OUT)
            return refusal([late], context.request_id)
        except Exception as error:  # noqa: BLE001 (whatever it is, it is masked and logged)
            return failure(error, context.request_id)
        if errors := too_long(result.data):
            # A mutation has been carried out, even if its answer is too long.
            changed = prepared.kind == "mutation"
            return Outcome(changed, errors=shown(errors, context.request_id))
        return Outcome(True, result.data, shown(result.errors or [], context.request_id), extensions)

    async def _in_turn(self, prepared: Prepared, workspace_id: int, executor: "Executor[Any]") -> ExecutionResult:
        """Run it. Unless it is small, it waits for its turn among those of its size and workspace."""
        if prepared.cost <= MEDIUM:
            return await self.run(executor)
        turns = self._medium if prepared.cost <= LARGE else self._large
        async with turns.of(workspace_id):
            return await self.run(executor)

    async def run(self, executor: "Executor[Any]", *, serially: bool | None = None) -> ExecutionResult:
        """The result of an executor, awaited if need be. If `serially` is None, the kind of operation decides."""
        result = executor.execute_operation(serially)
        if isawaitable(result):
            result = await result
        assert isinstance(result, ExecutionResult)
        return result


def too_long(data: Any) -> list[GraphQLError]:
    """The error of an answer whose names and texts are too long to be encoded; empty if they are not.

    Until the answer is encoded, a text that it repeats is in memory only once.
    """
    size = 0
    waiting: list[Any] = [[data]]
    while waiting and size <= LONGEST_ANSWER:
        values = waiting.pop()
        if type(values) is dict:
            size += sum(map(len, values))
            values = values.values()
        for value in values:
            kind = type(value)
            if kind is str:
                size += len(value) if len(value) < SHORT and value.isascii() else _bytes_of(value)
            elif kind is dict or kind is list:
                waiting.append(value)
    return [coded(TOO_LONG, QUERY_TOO_COMPLEX)] if size > LONGEST_ANSWER else []


def _bytes_of(text: str) -> int:
    """Its length as encoded: a letter may take four bytes, and a receiver's control character, escaped, six."""
    try:
        return len(orjson.dumps(text))
    except TypeError:
        return len(text)  # half of a surrogate pair, which cannot be encoded


def encoded(outcome: Outcome, request_id: str) -> bytes:
    """The answer as JSON. If it cannot be encoded, that is an error of ours."""
    try:
        return orjson.dumps(outcome.body())
    except (TypeError, ValueError) as error:
        return orjson.dumps(failure(error, request_id).body())
