"""What one API process holds while it runs."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import cast

import strawberry
from starlette.types import Scope

from api.connections import Connections
from api.execution import Engine
from api.gate import Gate
from api.live_feed import Feeds
from api.metrics import Metrics
from api.rates import Rates
from domain.settings import Settings
from domain.unit import Actor, Domain, opened
from schema.context import Context


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

    def context(self, actor: Actor, request_id: str) -> Context:
        """What one operation carries with it."""
        return Context(self.domain, actor, request_id)


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
        metrics.watch(connections, feeds)
        yield Process(settings, domain, engine, Gate(rates), feeds, connections, metrics)


def process_of(scope: Scope) -> Process:
    """The process that a request came to."""
    return cast(Process, scope["state"]["process"])
