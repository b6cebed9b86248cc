"""What every request gets: an id, safe headers on its answer, one line in the log, one count."""

import time
from typing import Any, Final

import structlog
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.execution import error_body
from api.facts import Facts
from api.metrics import Metrics

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
# Monaco, GraphiQL's editor, writes <style> elements while it runs; scripts stay ours alone.
GRAPHIQL_POLICY: Final = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
# Two years, as browsers' preload lists want; sent over TLS only.
HSTS: Final = (b"strict-transport-security", b"max-age=63072000; includeSubDomains")
# Machines ask for the first three every few seconds, and a page loads a dozen files: a line each would bury the others.
QUIET: Final = ("/healthz", "/readyz", "/metrics", "/assets/", "/favicon.svg")

log = structlog.get_logger("request")


class Edge:
    """The outermost middleware, except for Starlette's own."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        facts = Facts.of(scope)
        started = time.perf_counter()
        extra = _headers(scope, facts)
        status = 0

        async def send_safely(message: Message) -> None:
            nonlocal status
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *extra]}
            await send(message)

        try:
            await self.app(scope, receive, send_safely)
        except Exception as error:
            # Starlette's own answer to an unexpected error would bypass us, and leave without our headers.
            log.error("unexpected error", request_id=facts.request_id, exc_info=error)
            if scope["type"] != "http" or status:
                raise
            await _failure(facts)(scope, receive, send_safely)
        finally:
            self._tell(scope, facts, status, time.perf_counter() - started)

    def _tell(self, scope: Scope, facts: Facts, status: int, seconds: float) -> None:
        path: str = scope["path"]
        if scope["type"] == "http":
            self.metrics.request(path, status)
            self.metrics.failed(facts.codes)
        if path.startswith(QUIET) and status < 400:
            return
        told: dict[str, Any] = {
            "transport": scope["type"],
            "method": scope.get("method"),
            # Without the query string: a GET may carry values there.
            "path": path[:200],
            "status": status or None,
            "milliseconds": round(seconds * 1000, 1),
            **facts.told(),
        }
        log.info("request", **{name: value for name, value in told.items() if value is not None})


def _failure(facts: Facts) -> Response:
    facts.codes = {"INTERNAL"}
    body = error_body(f"Something went wrong on our side (request {facts.request_id}).", "INTERNAL")
    return Response(body, 500, media_type="application/json")


def _headers(scope: Scope, facts: Facts) -> list[tuple[bytes, bytes]]:
    policy = GRAPHIQL_POLICY if scope["path"].startswith("/graphiql") else POLICY
    headers = [*HEADERS, (b"content-security-policy", policy.encode()), (b"x-request-id", facts.request_id.encode())]
    if scope["scheme"] in {"https", "wss"}:
        headers.append(HSTS)
    return headers
