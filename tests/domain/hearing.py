"""Listening to the hub, for tests."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

from redis.asyncio import Redis

from domain.hub import Hub
from domain.live import Change, CursorExpired, Entry, Order

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Listener:
    """What one subscriber heard."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Entry] = asyncio.Queue()
        self.lost: asyncio.Queue[CursorExpired] = asyncio.Queue()

    async def next(self, count: int) -> list[int]:
        """The numbers of the next changes."""
        async with asyncio.timeout(30):
            return [(await self.heard.get()).data["n"] for _ in range(count)]


def changes(*numbers: int, workspace: int = 7) -> list[Change]:
    """Changes of one delivery."""
    return [
        Change("delivery", workspace, workspace, str(UUID(int=workspace)), n, Order.CLEAR, NOW, {"n": n})
        for n in numbers
    ]


async def attach(hub: Hub, workspace: int = 7) -> tuple[Listener, str]:
    """A new listener, and the position from which it hears."""
    listener = Listener()
    attachment = await hub.attach(workspace, listener.heard.put_nowait, listener.lost.put_nowait)
    return listener, attachment.position


async def readers(redis: Redis, count: int) -> bool:
    """Whether exactly this many connections of the server wait for changes."""
    return len([client for client in await redis.client_list() if client["cmd"].startswith("xread")]) == count
