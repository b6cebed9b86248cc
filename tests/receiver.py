"""A receiver of deliveries: a real HTTP server on loopback that records what it gets and answers from a script."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from aiohttp import web
from multidict import CIMultiDictProxy

DEADLINE = timedelta(seconds=60)


@dataclass(frozen=True)
class Received:
    """One request as it arrived."""

    method: str
    path: str
    headers: CIMultiDictProxy[str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What to answer; if `after` is given, not before it is set."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    after: asyncio.Event | None = None


class Receiver:
    """Records every request, and answers 200 unless the script says otherwise."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.url = ""
        self._scripts: dict[str, deque[Answer]] = defaultdict(deque)
        self._arrived = asyncio.Condition()

    def answer(self, *answers: int | Answer, path: str = "/") -> None:
        """Answer the next requests to this path with these, one each; a number is a bare status."""
        self._scripts[path].extend(Answer(answer) if isinstance(answer, int) else answer for answer in answers)

    def url_of(self, path: str) -> str:
        """The address of a path, for example "/hooks"."""
        return self.url.rstrip("/") + path

    async def wait_for(self, count: int, within: timedelta = DEADLINE) -> list[Received]:
        """All requests so far, as soon as there are this many. Raises AssertionError when they do not come in time."""
        try:
            async with asyncio.timeout(within.total_seconds()), self._arrived:
                await self._arrived.wait_for(lambda: len(self.requests) >= count)
        except TimeoutError:
            raise AssertionError(f"{len(self.requests)} of {count} requests came: {self.requests}") from None
        return list(self.requests)

    async def handle(self, request: web.Request) -> web.Response:
        """Record one request and give it its answer."""
        received = Received(request.method, request.path_qs, request.headers, await request.read())
        script = self._scripts[request.path]
        answer = script.popleft() if script else Answer()
        async with self._arrived:
            self.requests.append(received)
            self._arrived.notify_all()
        if answer.after is not None:
            await answer.after.wait()
        return web.Response(status=answer.status, headers=answer.headers, text=answer.body)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on a free port of 127.0.0.1."""
    receiver = Receiver()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield receiver
    finally:
        await runner.cleanup()
