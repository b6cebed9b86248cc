"""The lookout: regularly asks the database how much is due and for how long, and tells Prometheus."""

import asyncio
import random

import structlog

from domain import backlog
from domain.errors import Unavailable
from workers import metrics

EVERY_SECONDS = 10.0

log = structlog.get_logger(__name__)


async def look_forever() -> None:
    """Measure again and again. Every worker does, so that the figures stay when one worker goes."""
    while True:
        await look()
        await asyncio.sleep(EVERY_SECONDS * random.uniform(0.9, 1.1))  # noqa: S311


async def look() -> None:
    """Measure once."""
    try:
        metrics.tell(await backlog.measure())
    except Unavailable:
        metrics.tell(None)
    except Exception:
        log.exception("lookout.broke")
        metrics.tell(None)
