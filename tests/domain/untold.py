"""Deliveries and posts that were never announced to the live stream, and what it has been told."""

import pytest

from domain.database import rows
from domain.live import Entry
from domain.live_scripts import stream_of
from domain.tables import Delivery, Post
from domain.unit import Actor, Domain
from tests.domain.doing import add_account, listen, publish, write


async def check_now() -> None:
    await rows("UPDATE unsettled SET check_at = now()")


async def begin_long_ago(domain: Domain, actor: Actor) -> None:
    """Open a stream before which nothing happened, as far as the database loop can tell."""
    await domain.hub.live.open(actor.workspace.id)
    await domain.redis.set(f"{stream_of(actor.workspace.id)}:since", 0)


async def entries(domain: Domain, actor: Actor) -> list[Entry]:
    live = domain.hub.live
    last = await live.open(actor.workspace.id)
    return [entry async for page in live.history(actor.workspace.id, "0", last) for entry in page]


async def statuses(domain: Domain, actor: Actor) -> list[str]:
    return [entry.data["status"] for entry in await entries(domain, actor)]


async def untold_delivery(domain: Domain, actor: Actor) -> Delivery:
    """A delivery whose API process died between its commit and its announcement."""
    await domain.hub.live.open(actor.workspace.id)
    webhook = await listen(domain, actor)
    await rows(
        """WITH e AS (INSERT INTO event (workspace_id, type, document) VALUES ($1, 'post.created', '{}') RETURNING id),
        d AS (INSERT INTO delivery (workspace_id, event_id, webhook_id, event_type, max_attempts)
            SELECT $1, id, $2, 'post.created', 10 FROM e RETURNING id)
        INSERT INTO unsettled (delivery_id, from_change) SELECT id, 1 FROM d""",
        actor.workspace.id, webhook.id,
    )  # fmt: skip
    return await Delivery.get()


async def untold_post(domain: Domain, actor: Actor) -> Post:
    """A post that was written and published by a process that did not announce it."""
    await begin_long_ago(domain, actor)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(domain.outlet, "announce", lambda changes: None)
        post = await write(domain, actor, await add_account(domain, actor))
        await publish(domain, actor, post.id)
    return post


async def posts_told(domain: Domain, actor: Actor) -> list[tuple[str, str]]:
    return [(entry.kind, entry.data["status"]) for entry in await entries(domain, actor)]
