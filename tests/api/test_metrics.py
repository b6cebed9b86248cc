"""What is counted of answers, over every transport."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
import strawberry

from domain.errors import Unavailable
from domain.live_scripts import SPAN
from domain.settings import Settings
from tests.api.changes import announce, some_changes
from tests.api.conftest import GRAPHQL, Api, running
from tests.api.sockets import NAME, WATCH
from tests.waiting import until

LABELS = ("code", "kind", "result", "transport", "field")
UNKNOWN = "{ nothing }"
OUT_OF_RANGE = "{ webhooks(first: -1) { nodes { id } } }"
# A cursor of the first workspace that expired long ago.
TOO_OLD = f'subscription {{ deliveryStatusChanged(after: "1-{SPAN}") {{ cursor }} }}'


async def send(api: Api, transport: str, query: str) -> None:
    """Send a query, and wait for its answer; of the subscription WATCH, only until it has begun."""
    if transport == "websocket":
        async with api.socket() as socket:
            await socket.subscribe("1", query)
            if query == WATCH:
                await api.until_watched_by(1)
            else:
                assert (await socket.receive())["id"] == "1"
    else:
        headers = api.bearer | {"accept": "text/event-stream" if transport == "sse" else GRAPHQL}
        async with api.http.post(api.graphql, json={"query": query}, headers=headers) as answer:
            if query == WATCH:
                await api.until_watched_by(1)
            else:
                await answer.read()


@pytest.mark.parametrize("transport", ["sse", "websocket"])
async def test_errors_of_documents_results_and_subscriptions_are_counted(api: Api, transport: str) -> None:
    await announce(api.process.domain, some_changes(api.actor.workspace.id, 1))
    for query in (UNKNOWN, OUT_OF_RANGE, TOO_OLD):
        await send(api, transport, query)
    await until(lambda: counted(api, "hookline_graphql_errors") == {"BAD_USER_INPUT": 2, "CURSOR_EXPIRED": 1})


@pytest.mark.parametrize("transport", ["http", "sse", "websocket"])
async def test_operations_are_counted_by_transport_kind_field_and_result(api: Api, transport: str) -> None:
    expected = {f"query ok {transport} viewer": 1, f"query refused {transport} webhooks": 1}
    for query in (NAME, OUT_OF_RANGE):
        await send(api, transport, query)
    if transport != "http":
        await send(api, transport, WATCH)
        expected[f"subscription ok {transport} deliveryStatusChanged"] = 1
    assert counted(api, "hookline_graphql_operations") == expected


@pytest.mark.parametrize(
    ("query", "result"),
    [
        ("{ away }", "unavailable http away"),
        ("{ endless }", "timed_out http endless"),
        ("{ away boom }", "internal http several"),
    ],
)
async def test_the_worst_that_went_wrong_is_the_result_of_an_operation(
    settings: Settings, query: str, result: str
) -> None:
    if "endless" in query:
        settings = replace(settings, query_timeout=timedelta(milliseconds=50))
    async with running(settings, strawberry.Schema(query=Broken)) as api:
        await send(api, "http", query)
        assert counted(api, "hookline_graphql_operations") == {f"query {result}": 1}


@strawberry.type
class Broken:
    """Everything that may go wrong on our side."""

    @strawberry.field
    def boom(self) -> str | None:
        """An error of ours."""
        raise RuntimeError

    @strawberry.field
    def away(self) -> str | None:
        """A server that is away."""
        raise Unavailable

    @strawberry.field
    async def endless(self) -> str | None:
        """An answer that takes too long."""
        await asyncio.Event().wait()
        return None


def counted(api: Api, name: str) -> dict[str, float]:
    """What has been counted under this name, by its labels."""
    (family,) = [family for family in api.process.metrics.registry.collect() if family.name == name]
    samples = [sample for sample in family.samples if sample.name.endswith("_total") and sample.value]
    return {
        " ".join(sample.labels[label] for label in LABELS if label in sample.labels): sample.value for sample in samples
    }
