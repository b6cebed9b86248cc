"""A worker's own port, for monitoring: /healthz, /readyz and /metrics.

It is served by the same event loop as everything else, so any answer shows that this loop runs.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.log import server_logger
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from domain.listening import listener
from domain.settings import Settings
from workers import metrics

# The database loop takes its steps every second. If the database falls silent, each step takes 70 s: half of that until
# the statement is given up, half until its cancellation is. So this is measured from the last step, not the last round.
ALIVE_SECONDS = 90.0
READY_SECONDS = 15.0


@dataclass
class Pulse:
    """When the database loop last ended a step, and when the database last answered it; by the monotonic clock."""

    turned_at: float
    answered_at: float | None = None
    stopping: bool = False

    @classmethod
    def begun(cls) -> "Pulse":
        """The pulse of a worker that has just started."""
        return cls(monotonic())

    def turn(self) -> None:
        """A step has ended, well or not."""
        self.turned_at = monotonic()

    def beat(self, *, answered: bool) -> None:
        """A round of all steps has ended."""
        self.turn()
        if answered:
            self.answered_at = self.turned_at

    def is_alive(self, now: float) -> bool:
        """Whether the loop runs at all, with or without the database."""
        return now - self.turned_at < ALIVE_SECONDS

    def is_ready(self, now: float) -> bool:
        """Whether it delivers: the database has answered lately, and the worker is not stopping."""
        return not self.stopping and self.answered_at is not None and now - self.answered_at < READY_SECONDS


@asynccontextmanager
async def served(settings: Settings, pulse: Pulse) -> AsyncIterator[None]:
    """Serves for as long as the block lasts, if a port is set. Raises Misconfigured if the port is taken."""
    if not settings.metrics_port:
        yield
        return
    server_logger.addFilter(_is_ours)
    runner = web.AppRunner(_application(pulse), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.SockSite(runner, listener(settings.host, settings.metrics_port, "HOOKLINE_METRICS_PORT")).start()
        yield
    finally:
        await runner.cleanup()


def _is_ours(line: logging.LogRecord) -> bool:
    # Port scanners send anything. aiohttp answers with 400, but logs most of it as an error.
    return not (line.exc_info and isinstance(line.exc_info[1], HttpProcessingError | web.RequestPayloadError))


def _application(pulse: Pulse) -> web.Application:
    application = web.Application()
    application.router.add_get("/healthz", _teller(pulse.is_alive, "stuck"))
    application.router.add_get("/readyz", _teller(pulse.is_ready, "unavailable"))
    application.router.add_get("/metrics", _show_metrics)
    return application


def _teller(is_well: Callable[[float], bool], otherwise: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def tell(_request: web.Request) -> web.Response:
        well = is_well(monotonic())
        return web.json_response({"status": "ok" if well else otherwise}, status=200 if well else 503)

    return tell


async def _show_metrics(_request: web.Request) -> web.Response:
    return web.Response(body=generate_latest(metrics.REGISTRY), headers={"content-type": CONTENT_TYPE_LATEST})
