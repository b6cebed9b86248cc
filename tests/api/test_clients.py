"""The clients that people use, run as docs/subscriptions.md shows them, over connections that are cut."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from gql import Client, gql
from gql.transport.websockets import WebsocketsTransport

from domain.settings import Settings
from tests import node
from tests.api.changes import announce, some_changes
from tests.api.conftest import Api, running
from tests.api.protocol import pipe
from tests.waiting import until

JUDGES = Path(__file__).parent / "judges"
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "subscriptions.md"
SECONDS = 120
EXAMPLES = ["graphql-ws", "gql (Python)", "graphql-sse", "urql", "Apollo Client"]


@pytest.fixture(scope="session", autouse=True)
def judges() -> None:
    """Install the npm packages of the clients."""
    node.install(JUDGES)


def example(title: str) -> str:
    """The program under this heading of the page."""
    found = re.search(rf"^### {re.escape(title)}\n.*?^```\w+\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


class Proxy:
    """A proxy whose connections can be cut, and that can lead to another API."""

    def __init__(self) -> None:
        self.port = 0
        self._to = 0
        # Everything sent to the client since `lead_to`.
        self.told = b""
        self._writers: set[asyncio.StreamWriter] = set()

    def lead_to(self, api: Api) -> None:
        """Lead new connections to this API."""
        self.told = b""
        self._to = int(api.url.rpartition(":")[2])

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection, both ways."""
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, there_writer}
        await asyncio.gather(pipe(reader, there_writer), self._back(there_reader, writer))

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                self.told += data
                writer.write(data)
        writer.close()

    def cut(self) -> None:
        """Abort all connections, without warning."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()


@asynccontextmanager
async def proxied(api: Api) -> AsyncIterator[Proxy]:
    """A proxy in front of the API."""
    proxy = Proxy()
    proxy.lead_to(api)
    server = await asyncio.start_server(proxy.carry, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        proxy.cut()
        server.close()


@asynccontextmanager
async def shown(
    token: str, title: str, proxy: Proxy, stderr: int | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the example under this heading; its standard error goes to ours, unless `stderr` says otherwise."""
    command = [sys.executable, "-"] if "Python" in title else [str(node.NODE), "--input-type=module", "-"]
    variables = {"HOOKLINE_URL": f"http://127.0.0.1:{proxy.port}", "HOOKLINE_TOKEN": token, "HOOKLINE_AFTER": "0"}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=JUDGES, env={**os.environ, **variables},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=stderr,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(example(title).encode())
    process.stdin.close()
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
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
        shown(api.token, title, proxy) as process,
        asyncio.timeout(SECONDS),
    ):
        lines = await heard(api, process, proxy)
    uuids = [line.split()[2] for line in lines]
    assert uuids == sorted(set(uuids))
    assert len(uuids) == 60


async def heard(api: Api, process: asyncio.subprocess.Process, proxy: Proxy) -> list[str]:
    """What the example prints, while changes go on and its connection is cut three times."""
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
        shown(api.token, title, proxy) as process,
        asyncio.timeout(SECONDS),
    ):
        assert (await said(process)).startswith("since ")
        made = [await a_delivery(api, webhook)]
        lines = [await said(process)]
        proxy.cut()
        made += [await a_delivery(api, webhook) for _ in range(5)]
        lines += [await said(process) for _ in range(5)]
    assert [line.split()[1:] for line in lines] == [["PENDING", uuid] for uuid in made]


@pytest.mark.parametrize("title", EXAMPLES)
async def test_an_example_goes_on_from_its_cursor_after_a_restart_and_where_redis_was_away(
    settings: Settings, title: str
) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(SECONDS):
        async with running(settings) as api:
            proxy = await stack.enter_async_context(proxied(api))
            process = await stack.enter_async_context(shown(api.token, title, proxy))
            if title in {"urql", "Apollo Client"}:
                assert (await said(process)).startswith("since ")
            first, *others = some_changes(api.actor.workspace.id, 4)
            await announce(api.process.domain, [first])
            lines = [await said(process)]
        async with running(replace(settings, redis_url="unix:///nowhere/redis.sock"), name="Without") as without:
            proxy.lead_to(without)
            await until(lambda: b"UNAVAILABLE" in proxy.told)
        async with running(settings, name="Again") as again:
            proxy.lead_to(again)
            await announce(again.process.domain, others)
            lines += [await said(process) for _ in others]
    assert [line.split()[2] for line in lines] == [change.data["delivery"]["uuid"] for change in (first, *others)]


@pytest.mark.parametrize("title", EXAMPLES)
async def test_an_example_says_where_the_token_is_wrong(api: Api, title: str) -> None:
    async with (
        proxied(api) as proxy,
        shown("hl_wrong", title, proxy, stderr=asyncio.subprocess.PIPE) as process,
        asyncio.timeout(SECONDS),
    ):
        assert process.stderr is not None
        while b"valid token" not in (line := await process.stderr.readline()):
            assert line, "it has ended without saying so"


async def test_the_example_that_watches_ends_with_one_line_where_it_is_not_let_in(api: Api) -> None:
    command = [sys.executable, "docs/examples/watch.py", api.url, "hl_wrong"]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stderr=asyncio.subprocess.PIPE)
    async with asyncio.timeout(SECONDS):
        _, told = await process.communicate()
    assert process.returncode == 1
    (line,) = told.decode().splitlines()
    assert "valid token" in line


async def a_webhook(api: Api) -> str:
    """The id of a webhook made through the API; no worker runs, so nothing is sent to it."""
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
    # graphql-http audits the server; it is not a client.
    assert named == {(name, version) for name, version in pinned.items() if name != "graphql-http"}


async def test_the_npm_client_sees_the_close_codes_and_errors_of_the_protocol(api: Api) -> None:
    given = {"url": api.graphql.replace("http", "ws", 1), "token": api.token}
    seen = await asyncio.to_thread(node.run, JUDGES / "socket.mjs", given=given)
    assert seen == {
        "query": {"viewer": {"workspace": {"name": "Test"}}},
        "validation": "BAD_USER_INPUT",
        "unauthenticated": 4403,
        "legacy": [4406, "Speak graphql-transport-ws"],
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
