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
from tests.e2e.system import SHUTDOWN
from tests.live.watcher import WATCH, Watcher, following
from tests.live.world import World
from tests.waiting import until

FORBIDDEN = 4403
RESTARTING = 1012
# The API checks tokens every second; the rest allows for a busy machine.
SECONDS = 15.0


async def subscribed(stack: AsyncExitStack, world: World, token: str) -> Socket:
    """A socket with a subscription."""
    url = world.system.url.replace("http", "ws", 1) + "/graphql"
    socket = await stack.enter_async_context(speaking(url, token))
    await socket.subscribe("1", WATCH, after="0")
    await socket.quiet()
    return socket


async def new_token(world: World) -> tuple[int, str]:
    """The key and the secret of a token that expires in an hour."""
    async with world.domain.unit(world.admin) as unit:
        new = NewToken("short", Role.ADMIN, datetime.now(UTC) + timedelta(hours=1))
        token, secret = await workspaces.create_token(unit, new)
    return token.id, secret


async def test_a_revoked_or_expired_token_closes_its_sockets_within_seconds_and_no_others(world: World) -> None:
    async with AsyncExitStack() as stack:
        stays = await subscribed(stack, world, world.token)
        revoked_key, revoked_token = await new_token(world)
        expired_key, expired_token = await new_token(world)
        revoked = await subscribed(stack, world, revoked_token)
        expires = await subscribed(stack, world, expired_token)
        async with world.domain.unit(world.admin) as unit:
            await workspaces.revoke_token(unit, revoked_key)
        # As if its hour were over.
        await Token.filter(id=expired_key).update(expires_at=datetime.now(UTC))
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
        assert await system.api.gone(SHUTDOWN + SECONDS) == 0
        assert "graceful shutdown exceeded" not in system.api.log.read_text()
        # The event stream was not cut off either: its last event said what to do.
        await until(lambda: streams.away == 1, SECONDS, "the last words of the stream")
        system.api.launch()
        await system.api.ready()
        await until(lambda: streams.connections == 2, SECONDS)
