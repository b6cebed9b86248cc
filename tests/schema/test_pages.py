from typing import Any

import pytest

from domain import ids, tables
from domain.vocabulary import DeliveryStatus
from tests.schema.conftest import Client
from tests.schema.counting import Counter
from tests.schema.world import World, furnish, many_deliveries

PAGE = """
query ($first: Int, $after: String, $last: Int, $before: String, $by: DeliveryOrder, $filter: DeliveryFilter) {
  deliveries(first: $first, after: $after, last: $last, before: $before, orderBy: $by, filter: $filter) {
    nodes { id }
    edges { cursor node { id } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""
OLDEST_FIRST = {"field": "CREATED_AT", "direction": "ASC"}


async def filled(ask: Client, count: int) -> tuple[World, list[str]]:
    """A world with this many deliveries, and their ids, newest first."""
    world = await furnish(ask)
    made = [world.delivery, *await many_deliveries(world, count - 1)]
    return world, [ids.make("Delivery", row.id) for row in reversed(made)]


async def page(ask: Client, **arguments: Any) -> tuple[list[str], dict[str, Any]]:
    found = (await ask(PAGE, **arguments))["deliveries"]
    assert [edge["node"] for edge in found["edges"]] == found["nodes"]
    cursors = [edge["cursor"] for edge in found["edges"]]
    info = found["pageInfo"]
    assert [info["startCursor"], info["endCursor"]] == ([cursors[0], cursors[-1]] if cursors else [None, None])
    return [node["id"] for node in found["nodes"]], info


async def test_paging_forward_shows_everything_once_newest_first(ask: Client) -> None:
    _, expected = await filled(ask, 7)
    seen: list[str] = []
    after = None
    while True:
        found, info = await page(ask, first=3, after=after)
        seen += found
        if not info["hasNextPage"]:
            break
        after = info["endCursor"]
    assert seen == expected


async def test_paging_backward_shows_everything_once_from_the_end(ask: Client) -> None:
    _, expected = await filled(ask, 7)
    seen: list[str] = []
    before = None
    while True:
        found, info = await page(ask, last=3, before=before)
        seen = found + seen
        if not info["hasPreviousPage"]:
            break
        before = info["startCursor"]
    assert seen == expected


async def test_pages_stay_where_they_are_while_the_list_grows(ask: Client) -> None:
    world, expected = await filled(ask, 5)
    first, info = await page(ask, first=2)
    await many_deliveries(world, 3)
    second, _ = await page(ask, first=3, after=info["endCursor"])
    assert first + second == expected
    back, _ = await page(ask, last=2, before=(await page(ask, first=1, after=info["endCursor"]))[1]["startCursor"])
    assert back == first


async def test_the_oldest_can_come_first(ask: Client) -> None:
    _, expected = await filled(ask, 4)
    found, info = await page(ask, first=3, by=OLDEST_FIRST)
    assert found == expected[::-1][:3]
    assert (await page(ask, after=info["endCursor"], by=OLDEST_FIRST))[0] == expected[:1]


async def test_a_page_has_fifty_entries_unless_told_and_a_hundred_at_most(ask: Client) -> None:
    await filled(ask, 101)
    assert len((await page(ask))[0]) == 50
    assert len((await page(ask, first=100))[0]) == 100
    assert (await page(ask, first=0))[0] == []


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({"first": 101}, id="too many"),
        pytest.param({"last": 101}, id="too many from the end"),
        pytest.param({"first": -1}, id="negative"),
        pytest.param({"first": 2**31}, id="beyond 32 bits"),
        pytest.param({"first": 1, "last": 1}, id="both"),
        pytest.param({"after": "junk"}, id="no cursor"),
        pytest.param({"before": "\0"}, id="NUL"),
        pytest.param({"filter": {"createdAfter": "2026-01-01T00:00:00"}}, id="no offset"),
    ],
)
async def test_a_page_that_cannot_be_is_refused(ask: Client, arguments: dict[str, Any]) -> None:
    code, message = await ask.refused(PAGE, **arguments)
    assert code == "BAD_USER_INPUT"
    assert message


async def test_a_cursor_of_another_list_is_refused(ask: Client) -> None:
    await furnish(ask)
    webhooks = (await ask("{ webhooks { pageInfo { endCursor } } }"))["webhooks"]
    code, message = await ask.refused(PAGE, after=webhooks["pageInfo"]["endCursor"])
    assert (code, message) == ("BAD_USER_INPUT", "after is not a cursor of this list.")


async def test_all_that_is_wrong_with_a_page_is_told_in_sentences_that_name_the_argument(ask: Client) -> None:
    _, message = await ask.refused(PAGE, first=101, before="")
    assert message == "A page has 0 to 100 rows. before is not a cursor of this list."


async def test_the_whole_is_counted_only_where_that_is_asked_for(ask: Client) -> None:
    world, _ = await filled(ask, 3)
    with Counter() as counter:
        await ask("{ deliveries(first: 1) { nodes { id } } }")
    assert len(counter.statements) == 1
    assert "COUNT" not in counter.statements[0]
    counted = await ask(
        "{ deliveries(first: 1) { totalCount } failed: deliveries(filter: { statuses: [FAILED] }) { totalCount } }"
    )
    assert counted == {"deliveries": {"totalCount": 3}, "failed": {"totalCount": 1}}
    assert await tables.Delivery.filter(webhook_id=world.webhook.id, status=DeliveryStatus.FAILED).count() == 1


async def test_deliveries_are_filtered(ask: Client) -> None:
    world, every = await filled(ask, 3)
    original = every[-1]
    instant = world.delivery.created_at.isoformat()

    async def found(**wanted: Any) -> list[str]:
        return (await page(ask, filter=wanted))[0]

    assert await found() == every
    assert await found(webhookId=world.ids["Webhook"]) == every
    assert await found(webhookId="junk") == []
    assert await found(statuses=["FAILED"]) == [original]
    assert await found(statuses=[]) == []
    assert await found(eventTypes=["POST_PUBLISHED"]) == every[:-1]
    assert await found(eventTypes=["POST_PUBLISHED", "POST_CREATED"]) == every
    assert await found(createdBefore=instant) == []
    assert await found(createdAfter=instant) == every


@pytest.mark.parametrize("noun", ["webhooks", "deliveries", "events", "accounts", "posts"])
async def test_every_list_has_pages(ask: Client, noun: str) -> None:
    await furnish(ask)
    document = f"{{ {noun} {{ totalCount edges {{ cursor node {{ id }} }} pageInfo {{ hasNextPage }} }} }}"
    found = (await ask(document))[noun]
    assert found["totalCount"] == len(found["edges"]) > 0
