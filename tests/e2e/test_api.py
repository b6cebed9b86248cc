"""An API that is killed at the worst moments (F6, F7)."""

import asyncio
import time

from tests.e2e.client import Unanswered
from tests.e2e.world import World
from tests.waiting import until


async def test_what_was_committed_is_delivered_though_the_api_died_before_it_could_enqueue_it(world: World) -> None:
    """F6."""
    await world.hook()
    # What the API sends to Redis is held back, and is lost with the API.
    world.system.proxies.tell("api.redis", "silent")
    await world.post()
    world.system.api.kill()
    committed = time.monotonic()
    world.system.proxies.heal()
    await until(lambda: world.receivers.arrivals, what="the delivery")
    assert time.monotonic() - committed < 5

    world.system.api.launch()
    tally = await world.keeps_the_rule()
    assert (tally.delivered, tally.duplicated) == (1, 0)


async def test_nothing_exists_of_what_the_api_did_not_commit(world: World) -> None:
    """F7."""
    await world.hook()
    world.system.proxies.tell("api.postgres", "hold", "COMMIT")
    writing = asyncio.create_task(world.post())
    await until(lambda: world.system.proxies.tell("api.postgres", "ask"), what="the commit on its way")
    world.system.api.kill()
    (failed,) = await asyncio.gather(writing, return_exceptions=True)
    # What the proxy holds back is dropped with its connection, once the proxy has noticed its end.
    await until(lambda: not world.system.proxies.tell("api.postgres", "ask"), what="the end of the connection")
    world.system.proxies.heal()

    assert isinstance(failed, Unanswered)
    world.system.api.launch()
    tally = await world.keeps_the_rule()
    assert (tally.accepted, tally.delivered, world.receivers.arrivals) == (0, 0, [])
    (events,) = await world.system.sql(
        "SELECT count(*) AS count FROM event WHERE workspace_id = $1 AND type = 'post.created'", world.workspace
    )
    assert events["count"] == 0
