from dataclasses import replace

from domain import unit, workspaces
from domain.settings import Settings
from domain.vocabulary import Role
from tests.schema.conftest import Client, client
from tests.schema.test_subscriptions import tell, watching
from tests.schema.world import furnish


async def test_from_the_live_cursor_on_a_workspaces_own_changes_are_seen(ask: Client) -> None:
    await furnish(ask)
    other = await client(ask.domain, await workspaces.create("Elsewhere"), Role.ADMIN)
    world = await furnish(other)
    await ask.domain.outlet.flush()
    cursor = (await other("{ liveCursor }"))["liveCursor"]
    await tell(other, world, 2)
    async with watching(other, after=cursor) as results:
        first = (await anext(results))["data"]["deliveryStatusChanged"]
    assert (first["status"], first["delivery"]["id"]) == ("RETRYING", world.ids["Delivery"])


async def test_where_redis_is_away_the_live_cursor_is_unavailable(settings: Settings) -> None:
    async with unit.opened(replace(settings, redis_url="unix:///nowhere/redis.sock")) as domain:
        ask = await client(domain, await workspaces.create("Test"), Role.ADMIN)
        assert (await ask.refused("{ liveCursor }"))[0] == "UNAVAILABLE"
