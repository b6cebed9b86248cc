"""What is counted of answers, over every transport."""

import pytest

from api.metrics import CODES
from domain.live_scripts import SPAN
from tests.api.changes import announce, some_changes
from tests.api.conftest import Api
from tests.waiting import until

UNKNOWN = "{ nothing }"
OUT_OF_RANGE = "{ webhooks(first: -1) { nodes { id } } }"
# Of the first workspace, and long gone.
TOO_OLD = f'subscription {{ deliveryStatusChanged(after: "1-{SPAN}") {{ cursor }} }}'


@pytest.mark.parametrize("transport", ["sse", "websocket"])
async def test_errors_of_documents_results_and_subscriptions_are_counted(api: Api, transport: str) -> None:
    await announce(api.process.domain, some_changes(api.actor.workspace.id, 1))
    for query in (UNKNOWN, OUT_OF_RANGE, TOO_OLD):
        if transport == "websocket":
            async with api.socket() as socket:
                await socket.subscribe("1", query)
                assert (await socket.receive())["id"] == "1"
        else:
            headers = api.bearer | {"accept": "text/event-stream"}
            async with api.http.post(api.graphql, json={"query": query}, headers=headers) as answer:
                assert '"errors"' in await answer.text()
    await until(lambda: counted(api) == {"BAD_USER_INPUT": 2, "CURSOR_EXPIRED": 1})


def counted(api: Api) -> dict[str, float]:
    """How many answers had an error of each code."""
    value = api.process.metrics.registry.get_sample_value
    found = {code: value("hookline_graphql_errors_total", {"code": code}) for code in CODES}
    return {code: number for code, number in found.items() if number}
