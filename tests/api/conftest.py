"""A running API: a real uvicorn on a port of its own, in this process so that a test can reach its internals."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any

import aiohttp
import pytest
import strawberry
from starlette.applications import Starlette

from api.main import Server, config_of
from api.process import Process
from domain import workspaces
from domain.settings import Settings
from domain.unit import Actor
from domain.vocabulary import Role
from domain.workspaces import NewToken
from schema.schema import schema as hookline_schema
from tests.api.protocol import Socket, speaking
from tests.conftest import patient_with_redis

Json = dict[str, Any]
JSON = "application/json"
GRAPHQL = "application/graphql-response+json"


class QuietServer(Server):
    """A server that leaves the signals of the test run alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield


@dataclass
class Api:
    """A running API, and someone with an admin token."""

    server: Server
    app: Starlette
    url: str
    http: aiohttp.ClientSession
    actor: Actor
    token: str
    tokens: dict[Role, str] = field(default_factory=dict)

    @property
    def process(self) -> Process:
        """The resources of the API's process."""
        process: Process = self.app.state.process
        return process

    @property
    def graphql(self) -> str:
        """Where to send queries."""
        return f"{self.url}/graphql"

    @property
    def bearer(self) -> dict[str, str]:
        """The header that authenticates."""
        return {"authorization": f"Bearer {self.token}"}

    async def post(self, query: str, *, accept: str = GRAPHQL, **variables: Any) -> tuple[int, Json]:
        """Status and body of one query."""
        body = {"query": query, "variables": variables}
        async with self.http.post(self.graphql, json=body, headers=self.bearer | {"accept": accept}) as answer:
            return answer.status, await answer.json(content_type=None)

    async def ask(self, query: str, **variables: Any) -> Json:
        """The data of one query; there must be no errors."""
        status, body = await self.post(query, **variables)
        assert status == 200, body
        assert "errors" not in body, body
        data: Json = body["data"]
        return data

    async def raw(self, method: str, body: bytes | None = None, **headers: str) -> tuple[int, Json]:
        """Status and JSON body of the answer to any request at all."""
        sent = self.bearer | {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.http.request(method, self.graphql, data=BytesIO(body or b""), headers=sent) as answer:
            return answer.status, await answer.json(content_type=None)

    def socket(self, token: str | None = None, **options: Any) -> contextlib.AbstractAsyncContextManager[Socket]:
        """A WebSocket on which connection_init was acknowledged."""
        return speaking(self.graphql.replace("http", "ws", 1), token or self.token, **options)

    async def until_watched_by(self, number: int) -> None:
        """Returns once this many subscriptions are live, which the protocol does not tell."""
        async with asyncio.timeout(30):
            while self.process.feeds.members != number:
                await asyncio.sleep(0.005)

    async def new_token(self, role: Role = Role.ADMIN, **details: Any) -> tuple[int, str]:
        """The key and the secret of another token."""
        async with self.process.domain.unit(self.actor) as unit:
            token, secret = await workspaces.create_token(unit, NewToken("another", role, **details))
        return token.id, secret

    async def elsewhere(self) -> "Api":
        """The same API for someone with an admin token of a workspace "Elsewhere"."""
        actor, secret = await _admin_of(self.process, "Elsewhere")
        return replace(self, actor=actor, token=secret, tokens={})


@asynccontextmanager
async def running(
    settings: Settings, schema: strawberry.Schema = hookline_schema, name: str = "Test"
) -> AsyncIterator[Api]:
    """An API with these settings, and a workspace with this name in it."""
    config = config_of(replace(settings, port=0), schema)
    config.loop = "none"  # use the running one
    server = QuietServer(config)
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(60):
        while not server.started:
            assert not task.done(), task.result()
            await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    app: Any = config.app
    actor, secret = await _admin_of(app.state.process, name)
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            yield Api(server, app, f"http://127.0.0.1:{port}", http, actor, secret)
    finally:
        server.should_exit = True
        async with asyncio.timeout(60):
            await task


async def _admin_of(process: Process, name: str) -> tuple[Actor, str]:
    """An admin of a new workspace with this name, and the admin's token."""
    workspace = await workspaces.create(name)
    async with process.domain.unit(Actor(workspace, None, Role.ADMIN)) as unit:
        token, secret = await workspaces.create_token(unit, NewToken("test", Role.ADMIN))
    return Actor(workspace, token, Role.ADMIN), secret


@pytest.fixture
def patient_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count rates in Redis, however slow a busy machine is. After a timeout, each process would count by itself."""
    monkeypatch.setattr("api.rates.ANSWER_SECONDS", 30.0)
    monkeypatch.setattr("domain.queue.CONNECT_SECONDS", 30.0)


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[Api]:
    """A running API."""
    async with AsyncExitStack() as stack:
        with patient_with_redis():
            found = await stack.enter_async_context(running(settings))
        yield found
