"""An event's way from a mutation to its receiver and back to a subscriber, with every part a real process."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.e2e.client import calling
from tests.e2e.receivers import Behaviour
from tests.e2e.world import World
from tests.waiting import until

DOCUMENTED = {
    "ACCOUNT_ADDED": "account.added",
    "ACCOUNT_UPDATED": "account.updated",
    "ACCOUNT_DELETED": "account.deleted",
    "POST_DELETED": "post.deleted",
    "POST_SCHEDULED": "post.scheduled",
    "POST_PUBLISHED": "post.published",
    "POST_PUBLISHING_FAILED": "post.publishing_failed",
}


async def test_a_subscriber_sees_each_status_of_a_delivery_that_fails_twice_and_then_succeeds(world: World) -> None:
    world.receivers.behaviours["/"] = Behaviour(first=[500, 503])
    hook = await world.hook("/")
    async with world.client.subscribed(hook) as changes:
        await world.post()
        # The waits are 5 seconds and 5 minutes: an earlier due time in the database ends them at once.
        await until(lambda: len(changes) >= 3, what="the first RETRYING")
        await world.hurry()
        await until(lambda: len(changes) >= 5, what="the second RETRYING")
        await world.hurry()
        await until(lambda: len(changes) >= 7, what="SUCCEEDED")
        await world.finished()

    assert [change["status"] for change in changes] == [
        "PENDING", "DELIVERING", "RETRYING", "DELIVERING", "RETRYING", "DELIVERING", "SUCCEEDED"
    ]  # fmt: skip
    assert [arrival.attempt for arrival in world.receivers.arrivals] == [1, 2, 3]
    assert len({arrival.body_hash for arrival in world.receivers.arrivals}) == 1
    assert (await world.keeps_the_rule()).delivered == 1


async def test_each_documented_event_arrives_where_it_is_listened_to_and_nowhere_else(world: World) -> None:
    receivers, client = world.receivers, world.client
    for event, name in DOCUMENTED.items():
        await client.webhook(receivers.url(f"/{name}"), event)
        others = [other for other in DOCUMENTED if other != event]
        await client.webhook(receivers.url(f"/not/{name}"), *others)
    await client.webhook(receivers.url("/inactive"), *DOCUMENTED, active=False)
    _, token = await world.system.new_workspace()
    async with calling(world.system.url, token) as stranger:
        await stranger.webhook(receivers.url("/stranger"), *DOCUMENTED)

        await let_everything_happen(client)
        await until(lambda: all(receivers.at(f"/{name}") for name in DOCUMENTED.values()), 60, "every event arrived")
        await world.finished()

    for name in DOCUMENTED.values():
        assert {arrival.event for arrival in receivers.at(f"/{name}")} == {name}
        assert {arrival.event for arrival in receivers.at(f"/not/{name}")} == set(DOCUMENTED.values()) - {name}
    assert receivers.at("/inactive") == []
    assert receivers.at("/stranger") == []
    assert max(receivers.deliveries().values()) == 1


async def let_everything_happen(client: Any) -> None:
    """Cause each of the documented events."""
    good, bad = await client.account(), await client.account("failing")
    update = 'mutation($id: ID!) { accountUpdate(id: $id, input: {name: "New"}) { errors { message } } }'
    await client.change(update, id=good["id"])
    for account in (good, bad):
        post = await client.post(account["id"])
        await client.change("mutation($id: ID!) { postPublish(id: $id) { errors { message } } }", id=post["id"])
    draft = await client.post(good["id"])
    at = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    schedule = "mutation($id: ID!, $at: DateTime!) { postSchedule(id: $id, scheduledAt: $at) { errors { message } } }"
    await client.change(schedule, id=draft["id"], at=at)
    await client.change("mutation($id: ID!) { postDelete(ids: [$id]) { errors { message } } }", id=draft["id"])
    await published(client)
    await client.change("mutation($id: ID!) { accountDelete(id: $id) { errors { message } } }", id=good["id"])


async def published(client: Any) -> None:
    """Wait until no post is being published: its account must not be deleted before that."""
    async with asyncio.timeout(30):
        while True:
            found = await client.ask("{ posts { nodes { status } } }")
            if not {"PUBLISHING"} & {node["status"] for node in found["posts"]["nodes"]}:
                return
            await asyncio.sleep(0.05)
