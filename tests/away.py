"""PostgreSQL and Redis behind the gates of one test: it can cut them off without affecting other tests."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from cli.private_server import POSTGRES_SOCKET
from cli.servers import REDIS_SOCKET
from domain.settings import Settings
from tests.e2e.proxy import Gate


class Gates:
    """The proxies between a test's process and its servers. `settings` leads through them."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        database, redis = urlsplit(settings.database_url), urlsplit(settings.redis_url)
        (sockets,) = parse_qs(database.query)["host"]
        self.postgres = Gate(f"{sockets}/{POSTGRES_SOCKET}")
        self.redis = Gate(redis.path)
        place = quote(str(folder), safe="/")
        self.settings = replace(
            settings,
            database_url=database._replace(query=f"host={place}").geturl(),
            redis_url=f"unix://{place}/{REDIS_SOCKET}",
        )


def close(gate: Gate) -> None:
    """Cut every connection and refuse new ones."""
    gate.tell("refuse", "")


def fall_silent(gate: Gate) -> None:
    """Accept, and never answer."""
    gate.tell("silent", "")


def break_silently(gate: Gate) -> None:
    """Silence its open connections, as if the network between had broken. New ones work."""
    fall_silent(gate)
    gate.mode = "pass"


def reopen(gate: Gate) -> None:
    """Forward everything again."""
    gate.tell("pass", "")


@asynccontextmanager
async def gated(settings: Settings) -> AsyncIterator[Gates]:
    """Gates in front of the servers of these settings, while the block lasts."""
    # Short, because the path of a socket may have at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="hl-") as folder:
        gates = Gates(settings, Path(folder))
        servers = [
            await gates.postgres.serve(f"{folder}/{POSTGRES_SOCKET}"),
            await gates.redis.serve(f"{folder}/{REDIS_SOCKET}"),
        ]
        try:
            yield gates
        finally:
            for server in servers:
                server.close()
            for gate in (gates.postgres, gates.redis):
                close(gate)
                while gate.links:
                    await asyncio.sleep(0)
