"""A network that breaks again and again."""

import random
from contextlib import AsyncExitStack

import pytest

from domain.vocabulary import DeliveryStatus
from tests.live.network import breaking
from tests.live.watcher import Watcher, following, histories, order_of
from tests.live.world import World
from tests.waiting import until

WEBHOOKS, EVENTS = 10, 334
CHANGES = 3 * WEBHOOKS * EVENTS
CUTS = 50
# About half of what all changes take, so that every cut is reached.
CUT_WITHIN_BYTES = CHANGES * 110


@pytest.mark.alone
async def test_who_is_cut_off_50_times_while_10_000_changes_happen_sees_each_once_and_in_order(
    world: World, dice: random.Random
) -> None:
    port = world.system.port
    await world.listen(WEBHOOKS)
    async with AsyncExitStack() as stack:
        networks = [
            await stack.enter_async_context(breaking(port, [dice.randrange(1, CUT_WITHIN_BYTES) for _ in range(CUTS)]))
            for _ in range(2)
        ]
        calm = Watcher(world.system.url, world.token)
        sockets, events = (Watcher(network.url, world.token) for network in networks)
        await stack.enter_async_context(following(calm, sockets))
        await stack.enter_async_context(following(events, events=True))

        await world.happen(EVENTS)

        watchers = (calm, sockets, events)
        await until(lambda: all(len(watcher.changes) >= CHANGES for watcher in watchers), 240, "all changes")
    assert [network.made for network in networks] == [CUTS, CUTS]
    for watcher in watchers:
        cursors = [order_of(change["cursor"]) for change in watcher.changes]
        assert cursors == sorted(set(cursors))
        assert watcher.gaps == []
    assert calm.changes == sockets.changes == events.changes
    assert calm.connections == 1
    whole = [status.upper() for status in (DeliveryStatus.PENDING, DeliveryStatus.DELIVERING, DeliveryStatus.SUCCEEDED)]
    seen = histories(calm.changes)
    assert all(history == whole for history in seen.values())
    assert {uuid: history[-1] for uuid, history in seen.items()} == await world.statuses()
