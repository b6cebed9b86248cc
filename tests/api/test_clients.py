"""The clients that people use, run as docs/subscriptions.md shows them, over connections that are cut."""

import asyncio
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
SECONDS = 30


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


@pytest.mark.parametrize(
    ("title", "scheme"), [("graphql-ws", "ws"), ("gql (Python)", "ws"), ("graphql-sse", "http")]
)  # fmt: skip
async def test_an_example_of_the_documentation_hears_each_change_once_over_a_connection_that_is_cut(
    api: Api, title: str, scheme: str
) -> None:
    command = [sys.executable, "-"] if "Python" in title else [str(node.NODE), "--input-type=module", "-"]
    async with proxied(api) as proxy:
        variables = {
            "HOOKLINE_URL": f"{scheme}://127.0.0.1:{proxy.port}/graphql",
            "HOOKLINE_TOKEN": api.token,
            "HOOKLINE_AFTER": "0",
        }
        process = await asyncio.create_subprocess_exec(
            *command, cwd=JUDGES, env={**os.environ, **variables},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(example(title).encode())
        process.stdin.close()
        try:
            lines = await asyncio.wait_for(heard(api, process, proxy), SECONDS)
        finally:
            process.kill()
            _, errors = await process.communicate()
    uuids = [line.split()[2] for line in lines]
    assert uuids == sorted(set(uuids)), errors
    assert len(uuids) == 60


async def heard(api: Api, process: asyncio.subprocess.Process, proxy: Proxy) -> list[str]:
    """What the example prints, while changes go on and its connection is cut twice."""
    assert process.stdout is not None
    lines: list[str] = []
    for round_ in range(3):
        await announce(api.process.domain, some_changes(api.actor.workspace.id, 20))
        while len(lines) < 20 * round_ + 10:
            lines.append((await process.stdout.readline()).decode())
            assert lines[-1], "it has ended"
        proxy.cut()
        while len(lines) < 20 * (round_ + 1):
            lines.append((await process.stdout.readline()).decode())
            assert lines[-1], "it has ended"
    return lines


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
