"""Subscribers as the documentation tells people to write them: they keep the last cursor, and resume from it.

They record everything they see, so that a test can look for what is missing and for what came twice.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from tests.e2e.client import calling

WATCH = """
subscription ($after: String) {
  deliveryStatusChanged(after: $after) {
    cursor status occurredAt attempt { number outcome } delivery { uuid attemptCount }
  }
}
"""

LIST = """
query ($after: String) {
  deliveries(first: 100, after: $after) { nodes { uuid status attemptCount } pageInfo { hasNextPage endCursor } }
}
"""

# The status with which an API answers if its own servers do not answer in time.
AGAIN_LATER = 503

Json = dict[str, Any]


@dataclass
class Watcher:
    """What one subscriber has seen: changes, and marks where it was told to read again."""

    url: str
    token: str
    cursor: str | None = "0"
    reread: Callable[[], Awaitable[None]] | None = None
    query: str = WATCH
    changes: list[Json] = field(default_factory=list)
    # Seconds between one connection and the next.
    again: float = 0.02
    connections: int = 0
    # How often it was told that the API is stopping, or that one of the API's servers is away.
    away: int = 0
    # The close codes of its sockets.
    closed: list[int | None] = field(default_factory=list)
    # How many changes it had seen each time it was told to read again.
    gaps: list[int] = field(default_factory=list)

    async def follow(self, session: aiohttp.ClientSession) -> None:
        """Follow over WebSockets, one after the other, until cancelled."""
        while True:
            with suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with session.ws_connect(
                    f"{self.url}/graphql", protocols=("graphql-transport-ws",), max_msg_size=0
                ) as socket:
                    await self._talk(socket)
            await asyncio.sleep(self.again)

    async def follow_events(self, session: aiohttp.ClientSession) -> None:
        """Follow over event streams, one after the other, until cancelled."""
        headers = {"authorization": f"Bearer {self.token}", "accept": "text/event-stream"}
        while True:
            body = {"query": self.query, "variables": {"after": self.cursor}}
            with suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with session.post(f"{self.url}/graphql", json=body, headers=headers) as answer:
                    assert answer.status in (200, AGAIN_LATER), await answer.text()
                    if answer.status == 200:
                        self.connections += 1
                        await self._read_events(answer)
            await asyncio.sleep(self.again)

    async def _talk(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        await _say(socket, {"type": "connection_init", "payload": {"authorization": f"Bearer {self.token}"}})
        async for message in socket:
            told = orjson.loads(message.data)
            match told["type"]:
                case "connection_ack":
                    self.connections += 1
                    await self._subscribe(socket)
                case "next":
                    self._see(told["payload"])
                case "error":
                    await self._mend(told["payload"][0])
                    await self._subscribe(socket)
        self.closed.append(socket.close_code)

    async def _subscribe(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        payload = {"query": self.query, "variables": {"after": self.cursor}}
        await _say(socket, {"id": "1", "type": "subscribe", "payload": payload})

    async def _read_events(self, answer: aiohttp.ClientResponse) -> None:
        kind = ""
        async for line in answer.content:
            text = line.decode().strip()
            if text.startswith("event:"):
                kind = text.removeprefix("event:").strip()
            elif text.startswith("data:") and kind == "next":
                told = orjson.loads(text.removeprefix("data:"))
                if told.get("errors"):
                    await self._mend(told["errors"][0])
                else:
                    self._see(told)

    def _see(self, result: Json) -> None:
        assert "errors" not in result, result
        change = result["data"]["deliveryStatusChanged"]
        self.changes.append(change)
        self.cursor = change["cursor"]

    async def _mend(self, error: Json) -> None:
        code = error["extensions"]["code"]
        if code == "CURSOR_EXPIRED":
            self.gaps.append(len(self.changes))
            if self.reread is not None:
                await self.reread()
            self.cursor = error["extensions"]["cursor"]
        else:
            assert code == "UNAVAILABLE", error
            self.away += 1
            await asyncio.sleep(0.2)


class Reader(Watcher):
    """A subscriber that knows the status of every delivery: from the list, and from the changes since."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(url, token, reread=self.read)
        self.listed: dict[str, str] = {}
        self.reads = 0

    async def read(self) -> None:
        """Read the whole list."""
        self.reads += 1
        self.listed = {}
        async with calling(self.url, self.token) as client:
            after = None
            while True:
                page = (await client.ask(LIST, after=after))["deliveries"]
                self.listed |= {node["uuid"]: node["status"] for node in page["nodes"]}
                after = page["pageInfo"]["endCursor"]
                if not page["pageInfo"]["hasNextPage"]:
                    return

    def known(self) -> dict[str, str]:
        """The status of each delivery."""
        since = self.changes[self.gaps[-1] if self.gaps else 0 :]
        return self.listed | {change["delivery"]["uuid"]: change["status"] for change in since}

    def history(self, uuid: str) -> list[tuple[int, str, str]]:
        """The changes that were seen of one delivery, with their places among all changes."""
        return [
            (place, change["status"], change["occurredAt"])
            for place, change in enumerate(self.changes)
            if change["delivery"]["uuid"] == uuid
        ]


async def _say(socket: aiohttp.ClientWebSocketResponse, message: Json) -> None:
    await socket.send_str(orjson.dumps(message).decode())


@asynccontextmanager
async def following(*watchers: Watcher, events: bool = False) -> AsyncIterator[None]:
    """All of them follow while the block lasts. An error in one of them fails the block."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True), timeout=aiohttp.ClientTimeout(total=None)
    ) as session:
        follow = [watcher.follow_events(session) if events else watcher.follow(session) for watcher in watchers]
        tasks = [asyncio.create_task(each) for each in follow]
        try:
            yield
        finally:
            broken = [task for task in tasks if task.done()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # Raised even if the block failed because it waited for one of them: this is the cause.
            for task in broken:
                task.result()


def order_of(cursor: str) -> tuple[int, int]:
    """The key by which cursors are compared."""
    first, _, second = cursor.partition("-")
    return int(first), int(second)


def histories(changes: list[Json]) -> dict[str, list[str]]:
    """The statuses that each delivery went through, in the order in which they were seen."""
    found: dict[str, list[str]] = {}
    for change in changes:
        found.setdefault(change["delivery"]["uuid"], []).append(change["status"])
    return found
