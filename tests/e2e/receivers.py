"""Receivers that record which delivery came, in which attempt, with which bytes, and when."""

import asyncio
import hashlib
import json
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class Arrival:
    """One request as it came."""

    path: str
    event: str
    delivery: str
    attempt: int
    message_id: str
    # When it was sent, as its signature says, in seconds since 1970.
    signed_at: int
    # The uuid of what the event is about, if it has one.
    subject: str
    body_hash: str
    # By this machine's clock, in seconds since 1970: the database's clock is the same one.
    at: float
    # The status of the answer; 0 until there is one.
    status: int = 0


@dataclass
class Behaviour:
    """What a path does, until it is told otherwise."""

    status: int = 200
    seconds: float = 0.0
    # If there is one, nothing is answered before it is set.
    until: asyncio.Event | None = None
    # The first few answers, if they differ.
    first: list[int] = field(default_factory=list)
    # Whether its connections may be reused: if they may, names are seldom looked up.
    keeps_open: bool = True


class Receivers:
    """Any number of endpoints, one for each path."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.behaviours: defaultdict[str, Behaviour] = defaultdict(Behaviour)
        self.port = 0
        self.under_way: Counter[str] = Counter()
        self.most_at_once: Counter[str] = Counter()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """The address of an endpoint, for example "/a"."""
        return f"http://{host}:{self.port}{path}"

    def at(self, path: str) -> list[Arrival]:
        """What came to one endpoint."""
        return [arrival for arrival in self.arrivals if arrival.path == path]

    def deliveries(self) -> Counter[str]:
        """How often each delivery came."""
        return Counter(arrival.delivery for arrival in self.arrivals)

    async def handle(self, request: web.Request) -> web.Response:
        """Take one delivery."""
        body = await request.read()
        path, headers = request.path, request.headers
        arrival = Arrival(
            path,
            headers["X-Hookline-Event"],
            headers["X-Hookline-Delivery"],
            int(headers["X-Hookline-Attempt"]),
            headers["webhook-id"],
            int(headers["webhook-timestamp"]),
            str(json.loads(body)["data"].get("uuid", "")),
            hashlib.sha256(body).hexdigest(),
            time.time(),
        )
        self.arrivals.append(arrival)
        self.under_way[path] += 1
        self.most_at_once[path] = max(self.most_at_once[path], self.under_way[path])
        try:
            arrival.status = await self._answer(self.behaviours[path])
        finally:
            self.under_way[path] -= 1
        response = web.Response(status=arrival.status)
        if not self.behaviours[path].keeps_open:
            response.force_close()
        return response

    async def _answer(self, behaviour: Behaviour) -> int:
        status = behaviour.first.pop(0) if behaviour.first else behaviour.status
        if behaviour.seconds:
            await asyncio.sleep(behaviour.seconds)
        if behaviour.until is not None:
            await behaviour.until.wait()
        return status


@asynccontextmanager
async def receiving() -> AsyncIterator[Receivers]:
    """Endpoints on a free port of 127.0.0.1."""
    receivers = Receivers()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", receivers.handle)
    # If the worker goes away, the handler is cancelled, and nothing was answered.
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    receivers.port = runner.addresses[0][1]
    try:
        yield receivers
    finally:
        await runner.cleanup()
