"""The API's process: `hookline api`."""

import asyncio
import gc
import logging
from collections.abc import Iterator
from typing import Any

import strawberry
import uvicorn

from api.app import create
from api.uvicorn_protocols import HttpProtocol, WebSocketProtocol
from domain import logs, open_files, unit
from domain.listening import listener
from domain.settings import Network, Settings
from schema.schema import schema as hookline_schema

# The longest message that a client may send.
MAX_MESSAGE_BYTES = 131_072
# Silent sockets are pinged, to see whether their client is still there; this also keeps proxies from closing them.
PING_SECONDS = 20.0
# Longer than proxies keep an idle connection: a request that arrives while we close it becomes a 502, and no proxy
# sends a mutation again.
IDLE_SECONDS = 130
BACKLOG = 2_048


class Server(uvicorn.Server):
    """uvicorn's, but it tells event streams to end: uvicorn waits for them and has no way to end them."""

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        """See uvicorn."""
        app: Any = self.config.app
        app.state.process.connections.stop()
        # Let close frames leave before uvicorn closes what is left.
        await asyncio.sleep(0)
        await super().shutdown(sockets)


def config_of(settings: Settings, schema: strawberry.Schema = hookline_schema) -> uvicorn.Config:
    """How uvicorn serves the application of these settings."""
    return uvicorn.Config(
        create(settings, schema),
        host=settings.host,
        port=settings.port,
        http=HttpProtocol,
        loop="asyncio",
        ws=WebSocketProtocol,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        lifespan="on",
        backlog=BACKLOG,
        # Without this, uvicorn reads the environment.
        forwarded_allow_ips=[text for network in settings.trusted_proxies for text in _spellings(network)],
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_deadline.total_seconds())),
        access_log=False,
        server_header=False,
        log_config=None,
    )


def _spellings(network: Network) -> Iterator[str]:
    yield str(network)
    if network.version == 4:
        # How a dual-stack socket shows IPv4 clients.
        yield f"::ffff:{network.network_address}/{96 + network.prefixlen}"


def run(settings: Settings) -> None:
    """Serve until a signal ends it. Raises Misconfigured."""
    # Checked here, because uvicorn would log what it raises with the whole stack.
    unit.check(settings)
    logs.configure(settings)
    open_files.allow_many()
    # At "info", uvicorn repeats our own lines, including paths with their query strings.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    config = config_of(settings)
    # Modules and the schema stay as long as the process: the collector need not go through their 130,000 objects again
    # and again. Measured, for 100 deliveries of 8 fields: 3.8 ms instead of 6.3 with eight requests at once.
    gc.collect()
    gc.freeze()
    # A change that a thousand different subscriptions execute at once makes many young objects and little garbage:
    # going through them every 700 allocations made each execution take 550 us of CPU instead of 300.
    gc.set_threshold(50_000, 20, 50)
    # Bound here, because uvicorn would only log that a port is taken, and end as after an internal fault.
    Server(config).run([listener(settings.host, settings.port, "HOOKLINE_PORT")])
