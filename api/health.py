"""/healthz: is it alive; /readyz: can it work; /metrics: how is it doing."""

import asyncio

import orjson
import structlog
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response

from api import metrics
from api.deadline import Late, within
from api.process import process_of
from domain import database
from domain.errors import Unavailable, reason_of
from domain.live import ForeignRedis, Live

ANSWER_SECONDS = 2.0
READ_ONLY = "takes no changes"

log = structlog.get_logger(__name__)


async def healthz(_request: Request) -> Response:
    """Alive, since it answers. It asks no other server, so that a database that is away does not get us killed."""
    return _answer({"status": "ok"}, 200)


async def readyz(request: Request) -> Response:
    """Ready: the database is there and migrated. Redis is reported but not required, because we work without it. Nor
    need the database take changes: else all of us would be taken out while a standby answers, and nobody could read."""
    process = process_of(request.scope)
    if process.connections.stopping:
        return _answer({"status": "stopping"}, 503)
    state, redis = await asyncio.gather(_database(), _redis(process.domain.hub.live))
    ready = state in {"ok", READ_ONLY}
    return _answer(
        {"status": "ok" if ready else "unavailable", "database": state, "redis": redis}, 200 if ready else 503
    )


async def show_metrics(request: Request) -> Response:
    """For Prometheus."""
    return Response(process_of(request.scope).metrics.page(), headers={"content-type": metrics.CONTENT_TYPE})


async def _database() -> str:
    try:
        return await within(ANSWER_SECONDS, _state())
    except (Late, Unavailable) as error:
        log.warning("readyz.database_away", error=reason_of(error))
        return "out of reach"


async def _state() -> str:
    if not await database.is_migrated():
        return "not migrated"
    return "ok" if await database.takes_changes() else READ_ONLY


async def _redis(live: Live) -> str:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await live.claim()
    except ForeignRedis:
        return "another Hookline's"
    except Unavailable:
        return "unknown"
    except (RedisError, OSError, TimeoutError):
        return "out of reach"
    return "ok"


def _answer(body: dict[str, str], status: int) -> Response:
    return Response(orjson.dumps(body), status, {"cache-control": "no-store"}, "application/json")
