import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from domain import posts, webhooks
from domain.database import rows
from domain.live import Change, Entry, Order
from domain.posts import NewPost
from schema.subscriptions import LONGEST_BACKLOG, change_filter, follow
from tests.schema.conftest import Client, Json
from tests.schema.test_changes import REST, change
from tests.schema.world import World, furnish

WATCH = """
subscription ($webhook: ID, $delivery: ID, $types: [EventType!], $statuses: [DeliveryStatus!], $after: String) {
  deliveryStatusChanged(
    webhookId: $webhook, deliveryId: $delivery, eventTypes: $types, statuses: $statuses, after: $after
  ) { cursor status delivery { id status } }
}
"""


@asynccontextmanager
async def watching(ask: Client, document: str = WATCH, **variables: Any) -> AsyncIterator[AsyncIterator[Json]]:
    """The results of a subscription. All must come within a minute."""
    results = ask.watch(document, **variables)
    async with asyncio.timeout(60), aclosing(results):
        yield results


def change_of_its(world: World, number: int, order: Order, at: datetime, data: dict[str, Any]) -> Change:
    """The change of the world's delivery that has this number."""
    its = world.delivery
    return Change("delivery", world.workspace.id, its.id, str(its.uuid), number, order, at, data)


async def tell(ask: Client, world: World, number: int, **more: Any) -> None:
    """Put a change of the world's delivery into the live stream."""
    data = change(world, **more).data
    now = datetime.now(UTC)
    told = change_of_its(world, number, Order.CLEAR, now, data)
    # First comes what the workspace's own mutations announced.
    await ask.domain.outlet.flush()
    assert await ask.domain.hub.live.append([told]) == [True]


async def test_a_change_is_seen_as_soon_as_it_is_committed(ask: Client) -> None:
    world = await furnish(ask)
    async with watching(ask, after="0") as results:
        first = (await anext(results))["data"]["deliveryStatusChanged"]
        assert (first["status"], first["delivery"]["id"]) == ("PENDING", world.ids["Delivery"])
        async with ask.domain.unit(ask.actor) as unit:
            await posts.create(unit, NewPost("Again", (world.account.id,)))
        second = (await anext(results))["data"]["deliveryStatusChanged"]
        assert second["delivery"]["id"] != first["delivery"]["id"]


async def test_a_change_outlives_its_event_and_gives_its_cursor(ask: Client) -> None:
    await furnish(ask)
    await rows("TRUNCATE event CASCADE")
    document = 'subscription { deliveryStatusChanged(after: "0") { cursor delivery { event { uuid payload } } } }'
    async with watching(ask, document) as results:
        answer = await anext(results)
    change = answer["data"]["deliveryStatusChanged"]
    assert (answer["errors"], change["delivery"]["event"]["payload"]) == ([], {})
    assert change["cursor"]


async def test_a_change_outlives_the_attempt_that_led_to_it(ask: Client) -> None:
    world = await furnish(ask)
    await tell(ask, world, 2)
    await rows("DELETE FROM attempt")
    document = f"""subscription {{
      deliveryStatusChanged(after: "0", statuses: [RETRYING]) {{ cursor {REST} attempt {{ number outcome }} }}
    }}"""
    async with watching(ask, document) as results:
        answer = await anext(results)
    change = answer["data"]["deliveryStatusChanged"]
    assert (answer["errors"], change["attempt"]["number"]) == ([], 1)
    assert change["attempt"]["requestUrl"] == ""
    assert change["attempt"]["requestHeaders"] == change["attempt"]["responseHeaders"] == []
    assert change["attempt"]["responseBody"] is None


async def test_a_cursor_goes_on_where_it_was_with_nothing_missed_and_nothing_twice(ask: Client) -> None:
    world = await furnish(ask)
    async with watching(ask, after="0") as results:
        cursor = (await anext(results))["data"]["deliveryStatusChanged"]["cursor"]
    for number in range(2, 6):
        await tell(ask, world, number, status="retrying" if number % 2 else "delivering")
    async with watching(ask, after=cursor) as results:
        seen = [(await anext(results))["data"]["deliveryStatusChanged"]["status"] for _ in range(2)]
        await tell(ask, world, 6, status="succeeded")
        seen += [(await anext(results))["data"]["deliveryStatusChanged"]["status"] for _ in range(3)]
    assert seen == ["DELIVERING", "RETRYING", "DELIVERING", "RETRYING", "SUCCEEDED"]


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param({"webhook": "Webhook"}, id="by webhook"),
        pytest.param({"delivery": "Delivery"}, id="by delivery"),
        pytest.param({"types": ["POST_CREATED"]}, id="by event"),
        pytest.param({"statuses": ["RETRYING"]}, id="by status"),
        pytest.param({}, id="by nothing"),
    ],
)
async def test_only_what_is_wanted_is_seen(ask: Client, wanted: dict[str, Any]) -> None:
    world = await furnish(ask)
    variables = {name: world.ids[value] if isinstance(value, str) else value for name, value in wanted.items()}
    other = {**change(world).data, "status": "delivering"}
    for name, part in ({"webhook": "delivery", "delivery": "delivery", "types": "event"}).items():
        if name in wanted:
            different = {"webhook_id": 0, "id": 0} if part == "delivery" else {"type": "post.deleted"}
            other = {**other, part: {**other[part], **different}}
    await tell(ask, world, 2, **other)
    await tell(ask, world, 3)
    async with watching(ask, after="0", **variables) as results:
        seen = [(await anext(results))["data"]["deliveryStatusChanged"]["status"]]
        while seen[-1] != "RETRYING":
            seen.append((await anext(results))["data"]["deliveryStatusChanged"]["status"])
    unwanted = {"PENDING", "DELIVERING"} if "statuses" in wanted else {"DELIVERING"} if wanted else set()
    assert seen == [status for status in ("PENDING", "DELIVERING", "RETRYING") if status not in unwanted]


async def test_an_empty_list_wants_nothing(ask: Client) -> None:
    entry = change(await furnish(ask))
    assert change_filter({})(entry)
    assert not change_filter({"statuses": []})(entry)
    assert not change_filter({"eventTypes": []})(entry)


async def test_what_was_read_for_one_change_does_not_answer_for_the_next(ask: Client) -> None:
    world = await furnish(ask)
    document = 'subscription { deliveryStatusChanged(after: "0") { delivery { webhook { name } } } }'
    names = []
    # Two changes have happened, and one will follow.
    await tell(ask, world, 2)
    async with watching(ask, document) as results:
        for name in ("CRM", "Slack", "Wiki"):
            async with ask.domain.unit(ask.actor) as unit:
                await webhooks.update(unit, world.webhook.id, webhooks.WebhookChanges(name=name))
            names.append((await anext(results))["data"]["deliveryStatusChanged"]["delivery"]["webhook"]["name"])
            if name == "Slack":
                await tell(ask, world, 3)
    assert names == ["CRM", "Slack", "Wiki"]


@pytest.mark.parametrize(
    "after",
    [
        pytest.param("junk", id="no cursor"),
        pytest.param("", id="nothing"),
        pytest.param("\0", id="NUL"),
        pytest.param("99999999999999-0", id="of no workspace"),
    ],
)
async def test_what_is_no_cursor_ends_in_an_error(ask: Client, after: str) -> None:
    await furnish(ask)
    async with watching(ask, after=after) as results:
        (error,) = (await anext(results))["errors"]
        with pytest.raises(StopAsyncIteration):
            await anext(results)
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_cursor_that_is_too_old_ends_in_an_error_with_one_to_go_on_from(ask: Client) -> None:
    world = await furnish(ask)
    async with watching(ask, after="0") as results:
        cursor = (await anext(results))["data"]["deliveryStatusChanged"]["cursor"]
    async with watching(ask, after="1-" + cursor.partition("-")[2]) as results:
        (error,) = (await anext(results))["errors"]
    assert error["extensions"]["code"] == "CURSOR_EXPIRED"
    async with watching(ask, after=error["extensions"]["cursor"]) as results:
        await tell(ask, world, 2)
        assert (await anext(results))["errors"] == []


async def test_a_reader_who_falls_far_behind_gets_everything_once_and_in_order(ask: Client) -> None:
    world = await furnish(ask)
    count = 2 * LONGEST_BACKLOG + 500
    async with aclosing(
        follow(ask.domain.hub, ask.context.workspace_id, lambda entry: entry.kind == "delivery", "0")
    ) as entries:
        seen = [await anext(entries)]
        first = asyncio.ensure_future(anext(entries))
        await tell(ask, world, 2)
        seen.append(await first)
        now, data = datetime.now(UTC), change(world).data
        changes = [change_of_its(world, number, Order.NEXT, now, data) for number in range(3, count)]
        await ask.domain.hub.live.append(changes)
        # The hub hands all of them over before this reader takes its next one.
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        position = (await ask.domain.hub.live.open(world.workspace.id)).encode()
        last = await ask.domain.hub.attach(
            world.workspace.id, lambda entry: _note(done, entry, position.decode()), lambda _: None
        )
        if last.position != position.decode():
            await asyncio.wait_for(done, 60)
        last.close()
        async with asyncio.timeout(60):
            while seen[-1].cursor != position.decode():
                seen.append(await anext(entries))
    assert len(seen) == count - 1
    assert [entry.cursor for entry in seen] == sorted({entry.cursor for entry in seen}, key=_order)


def _note(done: "asyncio.Future[None]", entry: Entry, position: str) -> None:
    if entry.cursor == position and not done.done():
        done.set_result(None)


def _order(cursor: str) -> tuple[int, ...]:
    return tuple(int(part) for part in cursor.split("-"))


async def test_who_watches_when_redis_is_emptied_is_told_to_read_again(ask: Client) -> None:
    world = await furnish(ask)
    async with watching(ask, after="0") as results:
        await anext(results)
        await ask.domain.redis.flushall()
        await tell(ask, world, 2)
        (error,) = (await anext(results))["errors"]
    assert error["extensions"]["code"] == "CURSOR_EXPIRED"


async def test_a_closed_subscription_leaves_nothing_attached(ask: Client) -> None:
    await furnish(ask)
    async with watching(ask, after="0") as results:
        await anext(results)
        assert ask.domain.hub.listeners == 1
    assert ask.domain.hub.listeners == 0


async def test_posts_are_watched_too(ask: Client) -> None:
    world = await furnish(ask)
    document = """
    subscription ($post: ID) { postStatusChanged(postId: $post, after: "0") { status post { id accounts { status } } } }
    """
    async with watching(ask, document, post=world.ids["Post"]) as results:
        first = (await anext(results))["data"]["postStatusChanged"]
        assert first == {"status": "DRAFT", "post": {"id": world.ids["Post"], "accounts": [{"status": "PENDING"}]}}
        async with ask.domain.unit(ask.actor) as unit:
            await posts.create(unit, NewPost("Another", (world.account.id,)))
            await posts.publish(unit, world.post.id)
        assert (await anext(results))["data"]["postStatusChanged"]["status"] == "PUBLISHING"
