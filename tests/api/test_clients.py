"""The clients that people use, run as docs/subscriptions.md shows them, over connections that are cut."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from gql import Client, gql
from gql.transport.websockets import WebsocketsTransport

from tests import node
from tests.api.changes import announce, some_changes
from tests.api.conftest import Api
from tests.api.protocol import pipe

JUDGES = Path(__file__).parent / "judges"
PAGE = Path(__file__).parents[2] / "docs" / "subscriptions.md"
SECONDS = 120


@pytest.fixture(scope="session", autouse=True)
def judges() -> None:
    """The npm packages."""
    node.install(JUDGES)


def example(title: str) -> str:
    """The program under this heading."""
    found = re.search(rf"^### {re.escape(title)}\n.*?^```\w+\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


class Proxy:
    """A way to the API that can be cut."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self._to = port
        self._writers: set[asyncio.StreamWriter] = set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, both ways."""
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers |= {writer, there_writer}
        await asyncio.gather(pipe(reader, there_writer), pipe(there_reader, writer))

    def cut(self) -> None:
        """All of them, without a word."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()


@asynccontextmanager
async def proxied(api: Api) -> AsyncIterator[Proxy]:
    """A proxy before the API."""
    proxy = Proxy(int(api.url.rpartition(":")[2]))
    server = await asyncio.start_server(proxy.carry, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        proxy.cut()
        server.close()


@asynccontextmanager
async def shown(api: Api, title: str, proxy: Proxy) -> AsyncIterator[asyncio.subprocess.Process]:
    """The example under this heading, running; what it complains about goes to our standard error."""
    command = [sys.executable, "-"] if "Python" in title else [str(node.NODE), "--input-type=module", "-"]
    variables = {"HOOKLINE_URL": f"http://127.0.0.1:{proxy.port}", "HOOKLINE_TOKEN": api.token, "HOOKLINE_AFTER": "0"}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=JUDGES, env={**os.environ, **variables},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(example(title).encode())
    process.stdin.close()
    try:
        yield process
    finally:
        process.kill()
        await process.communicate()


async def said(process: asyncio.subprocess.Process) -> str:
    """The next line that the example prints."""
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    assert line, "it has ended"
    return line


@pytest.mark.parametrize("title", ["graphql-ws", "gql (Python)", "graphql-sse"])
async def test_an_example_of_the_documentation_hears_each_change_once_over_a_connection_that_is_cut(
    api: Api, title: str
) -> None:
    async with (
        proxied(api) as proxy,
        shown(api, title, proxy) as process,
        asyncio.timeout(SECONDS),
    ):
        lines = await heard(api, process, proxy)
    uuids = [line.split()[2] for line in lines]
    assert uuids == sorted(set(uuids))
    assert len(uuids) == 60


async def heard(api: Api, process: asyncio.subprocess.Process, proxy: Proxy) -> list[str]:
    """What the example prints, while changes go on and its connection is cut twice."""
    lines: list[str] = []
    for round_ in range(3):
        await announce(api.process.domain, some_changes(api.actor.workspace.id, 20))
        while len(lines) < 20 * round_ + 10:
            lines.append(await said(process))
        proxy.cut()
        while len(lines) < 20 * (round_ + 1):
            lines.append(await said(process))
    return lines


@pytest.mark.parametrize("title", ["urql", "Apollo Client"])
async def test_an_example_for_a_frontend_hears_each_delivery_made_through_the_api_over_a_connection_that_is_cut(
    api: Api, title: str
) -> None:
    webhook = await a_webhook(api)
    await a_delivery(api, webhook)  # before the cursor that the example reads
    async with (
        proxied(api) as proxy,
        shown(api, title, proxy) as process,
        asyncio.timeout(SECONDS),
    ):
        assert (await said(process)).startswith("since ")
        made = [await a_delivery(api, webhook)]
        lines = [await said(process)]
        proxy.cut()
        made += [await a_delivery(api, webhook) for _ in range(5)]
        lines += [await said(process) for _ in range(5)]
    assert [line.split()[1:] for line in lines] == [["PENDING", uuid] for uuid in made]


async def a_webhook(api: Api) -> str:
    """The id of a webhook made through the API; no worker runs that would send to it."""
    given = {"name": "x", "callbackUrl": "http://127.0.0.1:9000/", "events": ["POST_PUBLISHED"]}
    query = (
        "mutation ($input: WebhookCreateInput!) { webhookCreate(input: $input) { webhook { id } errors { message } } }"
    )
    made = (await api.ask(query, input=given))["webhookCreate"]
    assert made["errors"] == []
    return str(made["webhook"]["id"])


async def a_delivery(api: Api, webhook: str) -> str:
    """The uuid of a delivery made through the API."""
    query = "mutation ($id: ID!) { webhookTest(id: $id, eventType: POST_PUBLISHED) { delivery { uuid } } }"
    return str((await api.ask(query, id=webhook))["webhookTest"]["delivery"]["uuid"])


def test_the_documentation_names_the_versions_that_are_run() -> None:
    named = {
        package.rpartition("@")[::2]
        for line in re.findall(r"`npm install ([^`]+)`", PAGE.read_text())
        for package in line.split()
    }
    pinned = json.loads((JUDGES / "package.json").read_text())["dependencies"]
    # graphql-http audits the server; it is no client.
    assert named == {(name, version) for name, version in pinned.items() if name != "graphql-http"}


async def test_the_npm_client_sees_the_close_codes_and_errors_of_the_protocol(api: Api) -> None:
    given = {"url": api.graphql.replace("http", "ws", 1), "token": api.token}
    seen = await asyncio.to_thread(node.run, JUDGES / "socket.mjs", given=given)
    assert seen == {
        "query": {"viewer": {"workspace": {"name": "Test"}}},
        "validation": "BAD_USER_INPUT",
        "unauthenticated": 4403,
        "still": {"viewer": {"workspace": {"name": "Test"}}},
    }


async def test_the_npm_client_of_event_streams_is_content(api: Api) -> None:
    seen = await asyncio.to_thread(node.run, JUDGES / "stream.mjs", given={"url": api.graphql, "token": api.token})
    assert seen == {
        "query": {"viewer": {"workspace": {"name": "Test"}}},
        "validation": "BAD_USER_INPUT",
        "unauthenticated": 401,
    }


async def test_gql_asks_and_changes_over_one_socket(api: Api) -> None:
    transport = WebsocketsTransport(
        url=api.graphql.replace("http", "ws", 1),
        init_payload={"authorization": f"Bearer {api.token}"},
        subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
    )
    async with Client(transport=transport, fetch_schema_from_transport=True) as session:
        assert await session.execute(gql("{ viewer { workspace { name } } }")) == {
            "viewer": {"workspace": {"name": "Test"}}
        }
        answer = await session.execute(
            gql('mutation { tokenCreate(input: {name: "x", role: VIEWER}) { errors { code } } }')
        )
        assert answer == {"tokenCreate": {"errors": []}}
