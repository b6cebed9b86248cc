"""A GraphQL client as small as one can be, for load."""

import asyncio
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import psutil

from bench.place import Place
from cli.up import free_port

START_SECONDS = 60
HEAR_SECONDS = 30
CREATE_WEBHOOK = """mutation($url: String!) { webhookCreate(input: {name: "bench", callbackUrl: $url,
    events: [ACCOUNT_UPDATED], secret: "a secret of some length"}) { webhook { id } errors { message } } }"""
ADD_ACCOUNT = """mutation($name: String!) { accountAdd(input: {provider: SANDBOX, server: "ok", identifier: $name})
    { account { id } errors { message } } }"""
# Records one event, with one delivery for each webhook that listens.
RENAME_ACCOUNT = """mutation($id: ID!, $name: String!) { accountUpdate(id: $id, input: {name: $name})
    { account { id } errors { message } } }"""


@dataclass(frozen=True)
class Api:
    """A running API process and a token for it."""

    url: str
    token: str
    process: psutil.Process

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Authorization": f"Bearer {self.token}"}


@contextmanager
def api(place: Place, **settings: str) -> Iterator[Api]:
    """An API process with an empty workspace."""
    port = free_port("127.0.0.1", 0)
    environment = {
        **place.environment,
        "HOOKLINE_PORT": str(port),
        "HOOKLINE_REQUESTS_PER_MINUTE": "10000000",
        **settings,
    }

    def told(*command: str) -> str:
        ran = subprocess.run(
            [sys.executable, "-m", "cli", *command], env=environment, check=True, capture_output=True, text=True
        )
        return ran.stdout.strip()

    workspace = told("workspace", "create", f"bench on {port}")
    token = told("token", "create", "--workspace", workspace, "--role", "admin")
    with subprocess.Popen([sys.executable, "-m", "cli", "api"], env=environment) as process:
        try:
            _wait_until_ready(f"http://127.0.0.1:{port}/readyz")
            yield Api(f"http://127.0.0.1:{port}", token, psutil.Process(process.pid))
        finally:
            process.terminate()


@contextmanager
def plain() -> Iterator[tuple[str, psutil.Process]]:
    """A plain Starlette server: its URL and its process."""
    port = free_port("127.0.0.1", 0)
    with subprocess.Popen([sys.executable, "-m", "bench.plain", str(port)]) as process:
        try:
            _wait_until_ready(f"http://127.0.0.1:{port}/json")
            yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
        finally:
            process.terminate()


def _wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except urllib.error.HTTPError as answer:
            if answer.code < 500:
                return
            time.sleep(0.05)
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"{url} did not answer")


@asynccontextmanager
async def session(to: Api) -> AsyncIterator[aiohttp.ClientSession]:
    """A client session with the token."""
    async with aiohttp.ClientSession(headers=to.headers, connector=aiohttp.TCPConnector(limit=0)) as client:
        yield client


@asynccontextmanager
async def subscribed(
    client: aiohttp.ClientSession, to: Api, query: str, **variables: Any
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A socket with one subscription; every message from now on is one of its results."""
    async with client.ws_connect(f"{to.url}/graphql", protocols=["graphql-transport-ws"]) as socket:
        await socket.send_json({"type": "connection_init", "payload": {"authorization": f"Bearer {to.token}"}})
        await socket.receive_json(timeout=HEAR_SECONDS)  # the acknowledgement
        payload = {"query": query, "variables": variables}
        await socket.send_json({"id": "1", "type": "subscribe", "payload": payload})
        yield socket


async def ask(client: aiohttp.ClientSession, to: Api, query: str, **variables: Any) -> Any:
    """The data of an answer; raises RuntimeError if there are errors of any kind."""
    async with client.post(f"{to.url}/graphql", json={"query": query, "variables": variables}) as answer:
        told = await answer.json(content_type=None)
    if told.get("errors") or any(field["errors"] for field in told["data"].values() if "errors" in (field or ())):
        raise RuntimeError(json.dumps(told))
    return told["data"]


async def account(client: aiohttp.ClientSession, to: Api, name: str) -> str:
    """The id of a new sandbox account."""
    added: str = (await ask(client, to, ADD_ACCOUNT, name=name))["accountAdd"]["account"]["id"]
    return added


async def webhook(client: aiohttp.ClientSession, to: Api, url: str) -> str:
    """The id of a new webhook that listens to ACCOUNT_UPDATED."""
    made: str = (await ask(client, to, CREATE_WEBHOOK, url=url))["webhookCreate"]["webhook"]["id"]
    return made


async def record_events(client: aiohttp.ClientSession, to: Api, rate: float, seconds: float, prefix: str = "a") -> None:
    """Record `rate` events a second, each by renaming one of 20 new accounts, whose names begin with `prefix`."""
    accounts = [await account(client, to, f"{prefix}{number}") for number in range(20)]

    async def rename(number: int) -> None:
        await ask(client, to, RENAME_ACCOUNT, id=accounts[number % 20], name=f"n{number}")

    await steadily(rate, seconds, rename)


async def steadily(rate: float, seconds: float, call: Any) -> None:
    """Call `rate` times a second, whether or not earlier calls have ended; wait for all of them."""
    started = time.monotonic()
    calls = []
    for number in range(round(rate * seconds)):
        await asyncio.sleep(max(started + number / rate - time.monotonic(), 0))
        calls.append(asyncio.create_task(call(number)))
    await asyncio.gather(*calls)
