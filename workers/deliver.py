"""The arq job that delivers: a hint that these deliveries may be due."""

from collections.abc import Sequence
from typing import Any

import structlog

from domain.errors import Unavailable, reason_of
from domain.ids import is_key
from domain.queue import Owed
from workers.engine import Engine

log = structlog.get_logger(__name__)


async def deliver(
    ctx: dict[str, Any], delivery_ids: Sequence[int], webhook_ids: Sequence[int], workspace_ids: Sequence[int]
) -> None:
    """Make one attempt of each delivery that is still owed and gets a place; returns when the attempts have begun.

    Raises ValueError if a stranger wrote the job: a value that is no id would stay in its lane and block the others.
    """
    engine: Engine = ctx["engine"]
    owed = [Owed(*ids) for ids in zip(delivery_ids, webhook_ids, workspace_ids, strict=True)]
    if not all(isinstance(each, int) and is_key(each) for each in (*delivery_ids, *webhook_ids, *workspace_ids)):
        raise ValueError("a job with something else for an id")
    try:
        await engine.deliver(owed)
    except Unavailable as error:
        # A hint is only a hint: the database loop finds them when the database is back.
        log.warning("deliver.database_away", error=reason_of(error), deliveries=len(delivery_ids))
