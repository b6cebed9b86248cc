"""Replays: copies one page of each open replay, and the next pages soon after, until there are no more."""

import asyncio
import random

import structlog

from domain import replays
from domain.errors import Unavailable, reason_of
from domain.unit import Domain

REPLAYS_AT_ONCE = 20
# After a page there may be another. A replay that waits for its receiver copies none, and is asked less often.
NEXT_PAGE_SECONDS = 0.1
EVERY_SECONDS = 1.0

log = structlog.get_logger(__name__)


async def copy_forever(domain: Domain) -> None:
    """Copy page after page; look for replays each second or so."""
    pause = EVERY_SECONDS
    while True:
        made = False
        try:
            made = await copy_pages(domain)
        except Unavailable as error:
            log.warning("replay.database_away", error=reason_of(error))
        except Exception:
            log.exception("replay.broke")
        pause = NEXT_PAGE_SECONDS if made else min(2 * pause, EVERY_SECONDS)
        await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311


async def copy_pages(domain: Domain) -> bool:
    """Copy the next page of each open replay, and send the copies on their way; returns whether there were any.

    Raises Unavailable.
    """
    made = False
    for replay_id in await replays.open_replays(REPLAYS_AT_ONCE):
        page = await replays.copy_page(replay_id)
        domain.outlet.announce(page.changes)
        domain.outlet.deliver(page.owed)
        made |= bool(page.owed)
    return made
