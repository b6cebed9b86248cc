"""The arq job that delivers: a hint that these deliveries may be due."""

from collections.abc import Sequence
from typing import Any

import structlog

from domain.errors import Unavailable
from domain.queue import Owed
from workers.engine import Engine

log = structlog.get_logger(__name__)


async def deliver(
    ctx: dict[str, Any], delivery_ids: Sequence[int], webhook_ids: Sequence[int], workspace_ids: Sequence[int]
) -> None:
    """One attempt of each delivery that is still owed and finds a place; returns when they have begun."""
    engine: Engine = ctx["engine"]
    try:
        await engine.deliver([Owed(*ids) for ids in zip(delivery_ids, webhook_ids, workspace_ids, strict=True)])
    except Unavailable:
        # A hint is only a hint: the loop finds them when the database is back.
        log.warning("deliver.database_away", deliveries=len(delivery_ids))
