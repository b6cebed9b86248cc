"""A relay in front of a real server that can lose answers: the server has done its work, and we never learn of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

# These belong to one connection, or are computed again from the body.
_NOT_PASSED_ON = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding"})


class Relay:
    """Passes requests on to `upstream` and answers back."""

    def __init__(self, upstream: str, session: aiohttp.ClientSession) -> None:
        self.upstream = upstream
        self.url = ""
        self.seen: list[str] = []
        self._session = session
        self._losing: list[str] = []
        self._holding: dict[str, asyncio.Event] = {}
        self._watched: dict[str, asyncio.Event] = {}

    def lose_answer_to(self, path: str) -> None:
        """The next request to a path with this ending reaches the server; its answer is lost."""
        self._losing.append(path)

    def hold_answer_to(self, path: str) -> asyncio.Event:
        """Like `lose_answer_to`, but the client waits until it gives up. The event is set once the server is done."""
        self._holding[path] = asyncio.Event()
        return self._holding[path]

    def watch_for(self, path: str) -> asyncio.Event:
        """An event that is set once the server has answered a request to a path with this ending."""
        self._watched[path] = asyncio.Event()
        return self._watched[path]

    async def handle(self, request: web.Request) -> web.Response:
        """Pass one request on."""
        self.seen.append(f"{request.method} {request.path}")
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _NOT_PASSED_ON}
        async with self._session.request(
            request.method, self.upstream + request.path_qs, headers=headers, data=await request.read() or None
        ) as answer:
            body = await answer.read()
        if lost := next((path for path in self._losing if request.path.endswith(path)), None):
            self._losing.remove(lost)
            assert answer.ok, body
            assert request.transport is not None
            request.transport.abort()
        if held := next((path for path in self._holding if request.path.endswith(path)), None):
            self._holding.pop(held).set()
            await asyncio.Future()
        for path, answered in self._watched.items():
            if request.path.endswith(path):
                answered.set()
        passed_on = {name: value for name, value in answer.headers.items() if name.lower() not in _NOT_PASSED_ON}
        return web.Response(status=answer.status, headers=passed_on, body=body)


@asynccontextmanager
async def relaying(upstream: str) -> AsyncIterator[Relay]:
    """A relay on a free port of localhost, which is also the name that a PDS knows itself by."""
    # snac closes kept-alive connections without notice.
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        relay = Relay(upstream, session)
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", relay.handle)
        # A held answer ends with its connection.
        runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            relay.url = f"http://localhost:{port}"
            yield relay
        finally:
            await runner.cleanup()
