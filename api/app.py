"""The application that answers HTTP and WebSockets: its routes, and what it opens and closes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

import strawberry
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route, WebSocketRoute

from api.edge import Edge
from api.execution import error_body
from api.graphql_http import GraphQLEndpoint
from api.health import healthz, readyz, show_metrics
from api.metrics import Metrics
from api.pages import Pages
from api.process import Process, starting
from api.session import SessionEndpoint
from domain.settings import Settings
from schema.schema import schema as hookline_schema


class State(TypedDict):
    """What every request finds in its scope."""

    process: Process


def create(settings: Settings, schema: strawberry.Schema = hookline_schema) -> Starlette:
    """The application with these settings. It needs neither PostgreSQL nor Redis to start."""
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[State]:
        async with starting(settings, schema, metrics) as process:
            app.state.process = process
            yield {"process": process}

    graphql = GraphQLEndpoint()
    return Starlette(
        routes=[
            Route("/graphql", graphql),
            WebSocketRoute("/graphql", graphql),
            Route("/session", SessionEndpoint()),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", show_metrics),
            Mount("/", Pages()),
        ],
        middleware=[Middleware(Edge, metrics=metrics), *_cross_origin(settings)],
        exception_handlers={HTTPException: _refused},
        lifespan=lifespan,
    )


def _cross_origin(settings: Settings) -> list[Middleware]:
    """Lets pages of the origins in the settings read answers. No cookies: tokens are in headers."""
    if not settings.allowed_origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=["GET", "POST"],
            # Clients add headers of their own: Apollo's says its name, tracing numbers requests. We read few of them.
            allow_headers=["*"],
            expose_headers=["retry-after", "x-request-id"],
        )
    ]


async def _refused(request: Request, error: Exception) -> Response:
    """404, 405 and the like, as JSON."""
    assert isinstance(error, HTTPException)
    body = error_body(f"{error.detail}: GraphQL is at /graphql.", "BAD_USER_INPUT")
    return Response(body, error.status_code, dict(error.headers or {}), "application/json")
