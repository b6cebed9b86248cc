"""Readers that have stopped reading, among others that read."""

import asyncio
import re
import resource
import socket
import time
from contextlib import AsyncExitStack

import aiohttp
import psutil
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from api.connections import TRY_AGAIN, WATCH_SECONDS
from api.outbox import MOST_CHARACTERS, SEND_SECONDS
from tests.api.protocol import Socket, speaking
from tests.e2e.system import System
from tests.live.watcher import Watcher, following
from tests.live.world import World
from tests.waiting import until

READERS = 900
STALLED = 100
EVENTS = 10
CHANGES = 3 * EVENTS
# The kernel may take one more frame while the first ones stall; the time begins again with each frame.
CLOSED_SECONDS = 2 * SEND_SECONDS + WATCH_SECONDS
# Allows for a busy machine.
PATIENCE = 20.0
MIB = 1024 * 1024
# The same field many times, so that unread results soon fill every buffer on the way.
PAYLOADS = " ".join(f"p{number}: payload" for number in range(20))
HEAVY = f'subscription {{ deliveryStatusChanged(after: "0") {{ delivery {{ event {{ {PAYLOADS} }} }} }} }}'


@pytest.fixture
def many_sockets() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def stall(stack: AsyncExitStack, world: World, token: str) -> Socket:
    """A socket that subscribes and then reads no more than its tiny buffers take."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", world.system.port))
    url = world.system.url.replace("http", "ws", 1) + "/graphql"
    stalled = await stack.enter_async_context(speaking(url, token, sock=raw, max_queue=1, ping_interval=None))
    # A closing handshake would take a second for each.
    stack.callback(stalled.connection.transport.abort)
    await stalled.subscribe("1", HEAVY)
    stalled.connection.transport.pause_reading()
    return stalled


async def too_slow(system: System) -> int:
    """How many sockets the API has closed because their readers were too slow."""
    async with aiohttp.ClientSession() as session, session.get(f"{system.url}/metrics") as answer:
        text = await answer.text()
    found = re.search(rf'^hookline_sockets_closed_total\{{code="{TRY_AGAIN}"\}} (\S+)', text, re.MULTILINE)
    return int(float(found[1])) if found else 0


async def closed_with(connection: ClientConnection) -> int:
    """Read what is left; returns the code with which the socket was closed."""
    connection.transport.resume_reading()
    try:
        while True:
            await connection.recv()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 1006


@pytest.mark.alone
@pytest.mark.usefixtures("many_sockets")
async def test_100_stalled_readers_are_closed_in_time_and_900_others_hear_everything_at_once(world: World) -> None:
    system = world.system
    await world.listen(1)
    process = psutil.Process(system.api._process.pid)  # type: ignore[union-attr]
    readers = [Watcher(system.url, world.token) for _ in range(READERS)]
    token = await world.new_token()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(following(*readers))
        await until(lambda: all(reader.connections for reader in readers), 180, "900 connections")
        stalled = [await stall(stack, world, token) for _ in range(STALLED)]
        before, began = process.memory_info().rss, time.monotonic()
        await world.happen(EVENTS, text="x" * 8_000)
        await until(lambda: all(len(reader.changes) >= CHANGES for reader in readers), SEND_SECONDS, "every change")
        heard, grown = time.monotonic() - began, process.memory_info().rss - before
        while (closed := await too_slow(system)) < STALLED:
            await asyncio.sleep(0.2)
            assert time.monotonic() - began < CLOSED_SECONDS + heard + PATIENCE, f"{closed} closed"
        took = time.monotonic() - began
        codes = await asyncio.gather(*(closed_with(each.connection) for each in stalled))
    print(f"the 900 heard all after {heard:.1f} s; the API grew by {grown / MIB:.0f} MiB; closed after {took:.1f} s")
    assert set(codes) <= {TRY_AGAIN, 1006}
    # The text is ASCII, one byte a character.
    assert grown < STALLED * MOST_CHARACTERS
    assert {reader.connections for reader in readers} == {1}
