"""How a real API process lets its subscribers go."""

import asyncio
import signal
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

from domain import workspaces
from domain.tables import Token
from domain.vocabulary import Role
from domain.workspaces import NewToken
from tests.api.protocol import Socket, speaking
from tests.e2e.system import SHUTDOWN, until
from tests.live.watcher import WATCH, Watcher, following
from tests.live.world import World

FORBIDDEN = 4403
RESTARTING = 1012
# The API looks at tokens every second.
SECONDS = 4.0


async def subscribed(stack: AsyncExitStack, world: World, token: str) -> Socket:
    """A socket with a subscription."""
    url = world.system.url.replace("http", "ws", 1) + "/graphql"
    socket = await stack.enter_async_context(speaking(url, token))
    await socket.subscribe("1", WATCH, after="0")
    await socket.quiet()
    return socket


async def expiring(world: World, life: timedelta) -> str:
    """A token that lives for so long."""
    async with world.domain.unit(world.admin) as unit:
        new = NewToken("short", Role.ADMIN, datetime.now(UTC) + life)
        return (await workspaces.create_token(unit, new))[1]


async def test_a_revoked_or_expired_token_closes_its_sockets_within_seconds_and_no_others(world: World) -> None:
    async with AsyncExitStack() as stack:
        stays = await subscribed(stack, world, world.token)
        revoked = await subscribed(stack, world, await world.new_token())
        key = await Token.filter(workspace_id=world.workspace_id).order_by("-id").first()
        assert key is not None
        expires = await subscribed(stack, world, await expiring(world, timedelta(seconds=1.5)))
        async with world.domain.unit(world.admin) as unit:
            await workspaces.revoke_token(unit, key.id)
        async with asyncio.timeout(SECONDS):
            assert [(await each.closed())[0] for each in (revoked, expires)] == [FORBIDDEN, FORBIDDEN]
        await stays.quiet()


async def test_a_clean_shutdown_closes_every_socket_with_1012_and_every_stream_within_its_deadline(
    world: World,
) -> None:
    system = world.system
    streams = Watcher(system.url, world.token)
    async with AsyncExitStack() as stack:
        sockets = [await subscribed(stack, world, world.token) for _ in range(50)]
        await stack.enter_async_context(following(streams, events=True))
        await until(lambda: streams.connections == 1, SECONDS)
        system.api.send(signal.SIGTERM)
        codes = await asyncio.gather(*(each.closed() for each in sockets))
        assert {code for code, _ in codes} == {RESTARTING}
        assert await system.api.gone(SHUTDOWN + 1) == 0
        system.api.launch()
        await system.api.ready()
        await until(lambda: streams.connections == 2, SECONDS)
