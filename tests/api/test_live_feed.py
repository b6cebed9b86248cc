"""Equal subscriptions share their work, and no subscriber can tell, neither by what it gets nor by its order."""

import asyncio
import json
import random
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

from api.execution import Asked
from api.feed import Feed
from api.recent import RECENT_CHANGES
from domain import ids, workspaces
from domain.errors import Unavailable
from domain.live import order_of
from domain.unit import Actor
from domain.vocabulary import DeliveryStatus, EventType, Role
from tests.api.changes import announce, patiently, some_changes
from tests.api.conftest import Api

WATCH = "subscription($after: String) { deliveryStatusChanged(after: $after) { cursor status delivery { uuid } } }"


class Listener:
    """A subscriber that writes everything down."""

    def __init__(self) -> None:
        self.payloads: list[str] = []
        self.errors: list[dict[str, Any]] = []
        self.heard = asyncio.Condition()

    def next(self, payload: str) -> None:
        self.payloads.append(payload)

    def fail(self, errors: list[dict[str, Any]]) -> None:
        self.errors.extend(errors)

    async def room(self) -> None:
        await asyncio.sleep(0)

    @property
    def results(self) -> list[Any]:
        """All results so far."""
        return [json.loads(payload) for payload in self.payloads]

    @property
    def cursors(self) -> list[str]:
        """The cursors of all results so far."""
        return [result["data"]["deliveryStatusChanged"]["cursor"] for result in self.results]

    async def until(self, number: int) -> None:
        """Returns once there are `number` results. Raises Unavailable if it was told to try again."""
        async with asyncio.timeout(60):
            while len(self.payloads) < number:
                if self.errors:
                    assert self.errors[0]["extensions"]["code"] == "UNAVAILABLE", self.errors
                    raise Unavailable
                await asyncio.sleep(0.002)


async def listen(
    api: Api, query: str = WATCH, actor: Actor | None = None, operation: str | None = None, **variables: Any
) -> tuple[Listener, Feed]:
    """Subscribe as a socket would."""
    listener = Listener()
    prepared = api.process.engine.prepare(Asked(query, operation, variables))
    return listener, await api.process.feeds.subscribe(prepared, actor or api.actor, listener, "test")


def executed(api: Api) -> float:
    """How many changes have been executed."""
    value = api.process.metrics.registry.get_sample_value("hookline_live_changes_total")
    return value or 0.0


async def test_equal_subscriptions_are_executed_once(api: Api) -> None:
    found = [await listen(api) for _ in range(50)]
    assert len(api.process.feeds) == 1
    await announce(api.process.domain, some_changes(api.actor.workspace.id, 20))
    for listener, _ in found:
        await listener.until(20)
    assert {tuple(listener.payloads) for listener, _ in found} == {tuple(found[0][0].payloads)}
    assert executed(api) == 20
    for listener, feed in found:
        feed.leave(listener)
    assert len(api.process.feeds) == 0


async def test_other_variables_roles_documents_and_workspaces_are_other_feeds(api: Api) -> None:
    viewer = Actor(api.actor.workspace, api.actor.token, Role.VIEWER)
    query = "subscription($w: ID, $after: String) { deliveryStatusChanged(webhookId: $w, after: $after) { cursor } }"
    elsewhere = Actor(await workspaces.create("Elsewhere"), None, Role.ADMIN)
    last = {actor.workspace.id: (await resumable(api, 1, actor))[-1] for actor in (api.actor, elsewhere)}
    different: list[tuple[str, Actor, dict[str, Any]]] = [
        (WATCH, api.actor, {}),
        (WATCH, viewer, {}),
        (WATCH, elsewhere, {}),
        (WATCH + " ", api.actor, {}),
        (query, api.actor, {}),
        (query, api.actor, {"w": ids.make("Webhook", 1)}),
        (query, api.actor, {"w": ids.make("Webhook", 2)}),
    ]
    for number, (text, actor, variables) in enumerate(different, start=1):
        for after in ({}, {"after": None}, {"after": last[actor.workspace.id]}):
            await listen(api, text, actor, **variables, **after)
        assert len(api.process.feeds) == number


async def test_two_operations_of_a_document_are_two_feeds(api: Api) -> None:
    document = "subscription A { deliveryStatusChanged { cursor } } subscription B { deliveryStatusChanged { status } }"
    for number, name in enumerate("AB", start=1):
        await listen(api, document, operation=name)
        assert len(api.process.feeds) == number


async def test_a_cursor_that_is_used_for_something_else_as_well_is_no_affair_of_its_own(api: Api) -> None:
    listed = "webhook { deliveries(after: $after) { nodes { id } } }"
    document = f"subscription($after: String) {{ deliveryStatusChanged(after: $after) {{ delivery {{ {listed} }} }} }}"
    cursors = await resumable(api, 2)
    for number, cursor in enumerate(cursors, start=1):
        await listen(api, document, after=cursor)
        assert len(api.process.feeds) == number


async def resumable(api: Api, number: int, actor: Actor | None = None) -> list[str]:
    """Announce changes; returns their cursors."""
    listener, feed = await listen(api, actor=actor)
    await announce(api.process.domain, some_changes((actor or api.actor).workspace.id, number))
    await listener.until(number)
    feed.leave(listener)
    return listener.cursors


async def test_filters_are_applied_before_anything_is_executed(api: Api) -> None:
    workspace_id = api.actor.workspace.id
    query = """subscription($after: String) {
        deliveryStatusChanged(statuses: [FAILED], eventTypes: [POST_DELETED], after: $after) { cursor status }
    }"""
    listener, feed = await listen(api, query)
    wanted = {"status": DeliveryStatus.FAILED, "event_type": EventType.POST_DELETED}
    await announce(
        api.process.domain,
        [
            *some_changes(workspace_id, 50),
            *some_changes(workspace_id, 50, status=DeliveryStatus.FAILED),
            *some_changes(workspace_id, 50, event_type=EventType.POST_DELETED),
            *some_changes(workspace_id, 1, **wanted),
        ],
    )
    await listener.until(1)
    assert executed(api) == 1
    feed.leave(listener)
    resumed, _ = await listen(api, query, after="0")
    assert resumed.cursors == listener.cursors
    assert executed(api) == 2


@pytest.mark.parametrize("remembered", [RECENT_CHANGES, 200, 20])
async def test_a_resuming_subscriber_misses_nothing_and_gets_nothing_twice_while_changes_pour_in(
    api: Api, monkeypatch: pytest.MonkeyPatch, remembered: int
) -> None:
    # If the feed remembers less than all of them, it forgets some while it fetches others again.
    monkeypatch.setattr("api.recent.RECENT_CHANGES", remembered)
    rand = random.Random(7)
    await listen(api)
    number = min(1_500, 25 * remembered)
    seen: dict[int, list[str]] = {reader: [] for reader in range(8)}

    async def cut_off_again_and_again(reader: int) -> None:
        while len(seen[reader]) < number:
            after = seen[reader][-1] if seen[reader] else "0"
            wanted = min(number - len(seen[reader]), rand.randint(1, 200))
            heard = await patiently(partial(hear, api, after, wanted))
            seen[reader] += heard[: rand.randint(1, len(heard))]

    await asyncio.gather(pour(api, number), *(cut_off_again_and_again(reader) for reader in seen))
    told = await patiently(partial(hear, api, "0", number))
    assert all(cursors == told for cursors in seen.values())
    assert sorted(set(told), key=order_of) == told


async def hear(api: Api, after: str, number: int) -> list[str]:
    """The cursors of what a subscriber gets that resumes after this one, until there are at least `number`."""
    listener, feed = await listen(api, after=after)
    await listener.until(number)
    feed.leave(listener)
    return listener.cursors


async def pour(api: Api, number: int) -> None:
    """Announce changes, ten at a time."""
    for _ in range(number // 10):
        await announce(api.process.domain, some_changes(api.actor.workspace.id, 10))
        await asyncio.sleep(0)


async def test_a_thousand_who_resume_cost_each_change_once(api: Api) -> None:
    cursors = await resumable(api, 200)
    before = executed(api)
    found = await asyncio.gather(*(listen(api, after=cursors[number % 200]) for number in range(1_000)))
    for number, (listener, _) in enumerate(found):
        assert listener.cursors == cursors[number % 200 + 1 :]
    # A subscriber that wants more than the feed has makes it read the stream again; at worst, all of it twice.
    assert executed(api) - before <= 400


@pytest.mark.parametrize("bound", ["RECENT_CHANGES", "RECENT_BYTES_IN_ALL"])
async def test_more_than_the_feed_remembers_comes_out_of_the_stream(
    api: Api, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(f"api.recent.{bound}", 50)
    cursors = await resumable(api, 300)
    keeper, _ = await listen(api)
    listener, _ = await listen(api, after="0")
    assert listener.cursors == cursors
    await announce(api.process.domain, some_changes(api.actor.workspace.id, 120))
    await listener.until(420)
    before = executed(api)
    late, _ = await listen(api, after=cursors[250])
    assert executed(api) > before
    assert late.cursors == listener.cursors[251:]
    assert listener.cursors[300:] == keeper.cursors


async def test_a_bad_cursor_fails_its_subscriber_alone(api: Api) -> None:
    results = await asyncio.gather(
        *(listen(api, after=after) for after in ("nonsense", "0", "nonsense", "0")), return_exceptions=True
    )
    assert [type(result).__name__ for result in results] == ["BadCursor", "tuple", "BadCursor", "tuple"]


async def test_each_change_that_goes_wrong_can_be_found_in_the_log_by_the_id_that_its_subscribers_see(api: Api) -> None:
    listener, _ = await listen(api, "subscription { deliveryStatusChanged { delivery { webhook { name } } } }")
    with capture_logs() as lines:
        # Too large for a key: PostgreSQL's bigint ends just below.
        await announce(api.process.domain, some_changes(api.actor.workspace.id, 2, webhook_id=2**63))
        await listener.until(2)
    shown = [result["errors"][0]["extensions"]["requestId"] for result in listener.results]
    assert len(set(shown)) == 2
    # They are executed at the same time, so either may fail first.
    assert sorted(line["request_id"] for line in lines if line["event"] == "unexpected error") == sorted(shown)


async def test_when_redis_loses_the_stream_all_are_told_where_to_go_on(api: Api) -> None:
    listener, _ = await listen(api)
    await announce(api.process.domain, some_changes(api.actor.workspace.id, 1))
    await listener.until(1)
    await api.process.domain.redis.flushall()
    await announce(api.process.domain, some_changes(api.actor.workspace.id, 1))
    async with asyncio.timeout(60):
        while not listener.errors:
            await asyncio.sleep(0.01)
    assert listener.errors[0]["extensions"]["code"] == "CURSOR_EXPIRED"
    again, _ = await listen(api, after=listener.errors[0]["extensions"]["cursor"])
    await announce(api.process.domain, some_changes(api.actor.workspace.id, 1))
    await again.until(1)


async def test_one_that_has_read_further_elsewhere_gets_nothing_again(api: Api) -> None:
    listener, feed = await listen(api)
    await announce(api.process.domain, some_changes(api.actor.workspace.id, 3))
    await listener.until(3)
    ahead, told = Listener(), list(listener.payloads)
    feed.members[ahead] = order_of(listener.cursors[1])
    for number in (1, 2):
        feed._tell(order_of(listener.cursors[number]), told[number])
    assert ahead.payloads == told[2:]


BUSY_FEEDS, BUSY_CHANGES = 20, 600


async def test_a_busy_workspace_does_not_keep_another_waiting(api: Api) -> None:
    domain, busy = api.process.domain, api.actor.workspace.id
    calm = Actor(await workspaces.create("Calm"), None, Role.ADMIN)
    many = [await listen(api, WATCH + " " * number) for number in range(BUSY_FEEDS)]
    quiet, _ = await listen(api, WATCH, calm)
    # In one call: if Redis kept a second one waiting, the busy feeds would go on meanwhile.
    await announce(domain, [*some_changes(busy, BUSY_CHANGES), *some_changes(calm.workspace.id, 1)])
    await quiet.until(1)
    # Its change was announced after all of theirs, and is heard long before most of them.
    assert max(len(listener.payloads) for listener, _ in many) < BUSY_CHANGES / 2


def sent(api: Api) -> float:
    """How many changes have been sent to subscribers."""
    return api.process.metrics.registry.get_sample_value("hookline_live_frames_total") or 0.0


async def test_what_subscribers_catch_up_with_counts_as_sent_to_them_as_what_comes_live_does(api: Api) -> None:
    cursors = await resumable(api, 10)
    before = sent(api)
    found = [await listen(api, after=after) for after in (cursors[0], cursors[4], cursors[-1])]
    await announce(api.process.domain, some_changes(api.actor.workspace.id, 3))
    for (listener, _), number in zip(found, (12, 8, 3), strict=True):
        await listener.until(number)

    assert sent(api) - before == sum(len(listener.payloads) for listener, _ in found) == 23
