"""Changes that go into a live stream and are read from it."""

from datetime import UTC, datetime
from uuid import UUID

from redis.asyncio import Redis

from domain.live import Change, Entry, Live, Order

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def live_of(redis: Redis, database: str = "ours") -> Live:
    """The streams of a database with that identity, in which everything is committed."""

    async def committed_until() -> datetime:
        return NOW

    async def identity() -> str:
        return database

    return Live(redis, committed_until, identity)


def change(number: int, order: Order = Order.NEXT, *, subject: int = 1, at: datetime = NOW) -> Change:
    return Change("delivery", 7, subject, uuid_of(subject), number, order, at, {"n": number, "subject": subject})


def uuid_of(subject: int) -> str:
    return str(UUID(int=subject))


async def told(live: Live, after: str = "0") -> list[Entry]:
    last = await live.open(7)
    return [entry async for page in live.history(7, after, last) for entry in page]


async def numbers(live: Live) -> list[int]:
    return [entry.data["n"] for entry in await told(live)]
