"""GraphQL over HTTP (https://graphql.github.io/graphql-over-http/draft/), and the door to the two live protocols."""

from typing import Any, Final

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api import asking, graphql_socket, graphql_sse
from api.documents import BadDocument
from api.execution import Outcome, Prepared, coded, encoded, failure, refusal
from api.facts import Facts
from api.outbox import CUT
from api.process import Process, process_of
from api.rates import RateLimited
from api.statuses import AT_FAULT, EVENT_STREAM, GRAPHQL, JSON, negotiate, status_of, takes_event_stream
from domain.errors import HooklineError, Unauthenticated, Unavailable
from domain.unit import Actor

ALLOW: Final = {"allow": "GET, POST"}
# How long clients should wait before they try again if a server of ours is away.
RETRY_SECONDS = "1"


class GraphQLEndpoint:
    """The ASGI application at /graphql."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        process = process_of(scope)
        if scope["type"] == "websocket":
            await graphql_socket.serve(process, scope, receive, send)
            return
        try:
            response = await _Exchange(process, scope, receive, send).response()
        except asking.GoneAway:
            return
        if response is not None:
            await response(scope, receive, send)


class _Exchange:
    """One request and its answer."""

    def __init__(self, process: Process, scope: Scope, receive: Receive, send: Send) -> None:
        self.process = process
        self.scope = scope
        self.receive = receive
        self.send = send
        self.headers = Headers(scope=scope)
        self.facts = Facts.of(scope)
        self.media_type: str = JSON

    async def response(self) -> Response | None:
        """The answer; None if it has been streamed."""
        method = self.scope["method"]
        if method not in {"GET", "POST"}:
            return self._error(405, "Use GET or POST.", headers=ALLOW)
        media_type = negotiate(self.headers.get("accept"))
        if media_type is None:
            return self._error(406, f"Answers come as {GRAPHQL}, {JSON} or {EVENT_STREAM}.")
        self.media_type = media_type if media_type != EVENT_STREAM else GRAPHQL
        try:
            actor = await self._admit()
            prepared = await self._read(method)
            return await self._perform(method, media_type, actor, prepared)
        except BadDocument as error:
            return await self._at_fault(error, media_type)
        except HooklineError as error:
            return self._refused(error)

    async def _at_fault(self, error: BadDocument, media_type: str) -> Response | None:
        outcome = refusal(error.errors, self.facts.request_id)
        if media_type != EVENT_STREAM:
            return self._answer(outcome)
        self.facts.codes = outcome.codes()
        await graphql_sse.stream_one(encoded(outcome, self.facts.request_id).decode(), self.send)
        return None

    async def _admit(self) -> Actor:
        actor = await self.process.gate.admit(self.headers.get("authorization"), self.facts.address)
        self.facts.token_id = actor.token.id if actor.token else None
        return actor

    async def _read(self, method: str) -> Prepared:
        if method == "GET":
            asked = asking.from_query_string(self.scope["query_string"])
        else:
            asking.check_content_type(self.headers)
            asked = asking.from_body(
                await asking.read_body(self.receive, self.headers, self.process.settings.max_body_bytes)
            )
        prepared = self.process.engine.prepare(asked)
        self.facts.note(prepared)
        return prepared

    async def _perform(self, method: str, media_type: str, actor: Actor, prepared: Prepared) -> Response | None:
        if method == "GET" and prepared.kind == "mutation":
            return self._error(405, "Send mutations by POST.", headers={"allow": "POST"})
        is_subscription = prepared.kind == "subscription"
        if media_type == EVENT_STREAM or (is_subscription and takes_event_stream(self.headers.get("accept"))):
            cut = self.scope["extensions"][CUT]["cut"]
            event_stream = graphql_sse.EventStream(self.process, actor, self.facts, self.send, cut)
            await graphql_sse.stream(event_stream, prepared, self.receive)
            return None
        if is_subscription:
            return self._error(400, f"Subscribe over a WebSocket (graphql-transport-ws), or ask for {EVENT_STREAM}.")
        return self._answer(await self.process.execute(prepared, actor, self.facts.request_id, "http"))

    def _answer(self, outcome: Outcome) -> Response:
        status = status_of(outcome, self.media_type)
        self.facts.codes = outcome.codes()
        headers = {"retry-after": RETRY_SECONDS} if status == 503 else {}
        return self._response(status, encoded(outcome, self.facts.request_id), headers)

    def _refused(self, error: HooklineError) -> Response:
        if isinstance(error, asking.HashAlone):
            # Such clients mean to send this, so it is answered like any other query that cannot be executed.
            return self._error(AT_FAULT[self.media_type], error.message)
        if isinstance(error, asking.Malformed):
            return self._error(error.status, error.message)
        if isinstance(error, asking.GoneAway):
            raise error
        if isinstance(error, RateLimited):
            wait = error.retry_after
            return self._error(429, str(error), "RATE_LIMITED", {"retry-after": str(wait)}, retryAfter=wait)
        outcome = failure(error, self.facts.request_id)
        self.facts.codes = outcome.codes()
        headers = {}
        if isinstance(error, Unauthenticated):
            headers["www-authenticate"] = 'Bearer realm="hookline"'
        if isinstance(error, Unavailable):
            headers["retry-after"] = RETRY_SECONDS
        return self._response(status_of(outcome, self.media_type), encoded(outcome, self.facts.request_id), headers)

    def _error(
        self,
        status: int,
        message: str,
        code: str = "BAD_USER_INPUT",
        headers: dict[str, str] | None = None,
        **details: Any,
    ) -> Response:
        outcome = refusal([coded(message, code, **details)], self.facts.request_id)
        self.facts.codes = {code}
        return self._response(status, encoded(outcome, self.facts.request_id), headers or {})

    def _response(self, status: int, body: bytes, headers: dict[str, str]) -> Response:
        return Response(
            body,
            status,
            {"content-type": f"{self.media_type}; charset=utf-8", "cache-control": "no-store", **headers},
        )
