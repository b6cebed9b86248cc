"""What one API process holds while it runs."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, cast

import strawberry
from starlette.types import Scope

from api.connections import Connections
from api.deadline import Late
from api.execution import Engine, Outcome, Prepared
from api.gate import Gate
from api.live_feed import Feeds
from api.metrics import Metrics
from api.rates import Rates
from domain.errors import Unavailable
from domain.settings import Settings
from domain.unit import Actor, Domain, opened
from schema.context import Context

# The field that revokes tokens. A document that selects it contains its name: GraphQL has no other spelling.
REVOKING: Final = "tokenRevoke"


@dataclass
class Process:
    """All parts of the API. Made by `starting`."""

    settings: Settings
    domain: Domain
    engine: Engine
    gate: Gate
    feeds: Feeds
    connections: Connections
    metrics: Metrics

    async def execute(self, prepared: Prepared, actor: Actor, request_id: str, transport: str) -> Outcome:
        """Execute a query or a mutation, timed, traced and counted. Raises nothing but cancellation."""
        with (
            self.metrics.timed(prepared.kind),
            self.domain.tracer.operation(prepared.kind, prepared.field, request_id) as note,
        ):
            outcome = await self.engine.execute(prepared, Context(self.domain, actor, request_id))
            note(outcome.codes())
        if REVOKING in prepared.document.text:
            await self._forget_tokens()
        self.metrics.operation(transport, prepared, outcome.codes())
        return outcome

    async def _forget_tokens(self) -> None:
        """Refuse a token that was revoked just now, and end its connections; an answer that is ready still leaves."""
        self.gate.forget_tokens()
        # If the database is away, the watch over the connections tries again.
        with suppress(Late, Unavailable):
            await self.connections.close_revoked(datetime.now(UTC))


@asynccontextmanager
async def starting(settings: Settings, schema: strawberry.Schema, metrics: Metrics) -> AsyncIterator[Process]:
    """All parts, for as long as the block lasts."""
    async with AsyncExitStack() as stack:
        domain = await stack.enter_async_context(opened(settings))
        rates = Rates(settings)
        stack.push_async_callback(rates.close)
        engine = Engine(schema, settings.query_timeout)
        feeds = Feeds(engine, domain, metrics)
        stack.push_async_callback(feeds.close)
        connections = await stack.enter_async_context(Connections(settings).watched())
        metrics.watch(connections, feeds, lambda: domain.outlet.dropped)
        yield Process(settings, domain, engine, Gate(rates), feeds, connections, metrics)


def process_of(scope: Scope) -> Process:
    """The process that a request came to."""
    return cast(Process, scope["state"]["process"])
