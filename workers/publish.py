"""Publishing posts: the job that arq calls, and the step of the database loop."""

import asyncio
from typing import Any

from domain import publishing
from domain.unit import Domain

# How many posts one step of the loop takes.
POSTS_PER_STEP = 20


async def publish(ctx: dict[str, Any], post_id: int) -> None:
    """One round of a post that is due; a job that comes twice, or too early, does nothing."""
    await publishing.publish(ctx["domain"], post_id)


async def publish_due(domain: Domain) -> int:
    """One round of the posts that are due and that no worker holds; needs no Redis. Returns how many were taken.

    It lasts as long as the slowest network (two minutes at most): run it beside the loop, not in it.
    """
    rounds = [publishing.publish(domain, post_id) for post_id in await publishing.due(POSTS_PER_STEP)]
    return sum(await asyncio.gather(*rounds))
