"""F24: a thousand subscribers, and the API is killed."""

import asyncio
import resource

import aiohttp
import pytest

from tests.few_files import FEW_FILES, few_files
from tests.live.watcher import Watcher, following, histories, order_of
from tests.live.world import World
from tests.waiting import until

SUBSCRIBERS = 1_000
# Seconds between two attempts of each subscriber: a thousand at once would keep the API from starting.
AGAIN = 0.5
SECONDS = 180.0
# Ten deliveries each, of three changes: before the API dies, while it is gone, and after that.
DELIVERIES = 10
CHANGES = 3 * 3 * DELIVERIES


@pytest.fixture
def many_sockets() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@pytest.mark.alone
@pytest.mark.usefixtures("many_sockets")
async def test_a_thousand_subscribers_of_a_killed_api_resume_and_have_every_change_once(world: World) -> None:
    system = world.system
    await world.listen(1)
    watchers = [Watcher(system.url, world.token, again=AGAIN) for _ in range(SUBSCRIBERS)]
    async with following(*watchers):
        await until(lambda: all(watcher.connections for watcher in watchers), SECONDS, "a thousand connections")
        making = asyncio.create_task(world.happen(DELIVERIES, at_once=1, pause=0.02))
        # Somewhere in the middle of the changes.
        await until(lambda: sum(len(watcher.changes) for watcher in watchers) > SUBSCRIBERS * DELIVERIES, SECONDS)
        system.api.kill()
        await making
        await world.happen(DELIVERIES)
        await world.all_finished(2 * DELIVERIES, SECONDS)
        system.api.launch()
        await system.api.ready(SECONDS)
        await until(lambda: all(watcher.connections > 1 for watcher in watchers), SECONDS, "all again")
        await world.happen(DELIVERIES)
        await until(lambda: all(len(watcher.changes) >= CHANGES for watcher in watchers), SECONDS, "all changes")
    first = watchers[0].changes
    cursors = [order_of(change["cursor"]) for change in first]
    assert cursors == sorted(set(cursors))
    assert [watcher for watcher in watchers if watcher.changes != first or watcher.gaps] == []
    assert set(map(tuple, histories(first).values())) == {("PENDING", "DELIVERING", "SUCCEEDED")}
    assert len(histories(first)) == 3 * DELIVERIES


async def test_an_api_that_begins_with_few_files_allows_itself_as_many_as_it_may_have(world: World) -> None:
    api = world.system.api
    api.kill()
    with few_files():
        api.launch()
    await api.ready()
    async with aiohttp.ClientSession() as session, session.get(f"{world.system.url}/metrics") as answer:
        (line,) = [line for line in (await answer.text()).splitlines() if line.startswith("process_max_fds ")]
    assert float(line.split()[1]) > FEW_FILES
