"""Verbs, each in a unit of its own, as the API calls them; and what they leave behind."""

import asyncio
import json
from typing import Any

import pytest

from domain import accounts, dispatch, events, posts, webhooks
from domain.accounts import NewAccount
from domain.database import rows
from domain.errors import FaultCode, Refused
from domain.posts import NewPost, PostChanges
from domain.tables import Account, Delivery, Event, Post, Webhook
from domain.unit import Actor, Domain
from domain.vocabulary import EventType, Provider
from domain.webhooks import NewWebhook, WebhookChanges

ALL_EVENTS = tuple(EventType)


async def listen(domain: Domain, actor: Actor, *types: EventType, **more: Any) -> Webhook:
    """A webhook for these events (for all, if none is named)."""
    return (await create_webhook(domain, actor, **{"events": types or ALL_EVENTS, **more}))[0]


async def create_webhook(domain: Domain, actor: Actor, **asked: Any) -> tuple[Webhook, str | None]:
    """A webhook with these properties, and its secret."""
    new = {"name": "Hook", "callback_url": "https://example.com/in", "events": (EventType.POST_PUBLISHED,), **asked}
    async with domain.unit(actor) as unit:
        return await webhooks.create(unit, NewWebhook(**new))


async def change_webhook(domain: Domain, actor: Actor, webhook: Webhook, **changes: Any) -> Webhook:
    async with domain.unit(actor) as unit:
        return await webhooks.update(unit, webhook.id, WebhookChanges(**changes))


async def add_account(domain: Domain, actor: Actor, server: str = "ok", identifier: str | None = None) -> Account:
    """A sandbox account that behaves as `server` says."""
    return await accounts.add(domain, actor, NewAccount(Provider.SANDBOX, server, identifier))


async def write(domain: Domain, actor: Actor, *on: Account, **more: Any) -> Post:
    """A post on these accounts."""
    new = NewPost(**{"body": "Hello", "account_ids": tuple(account.id for account in on), **more})
    async with domain.unit(actor) as unit:
        return await posts.create(unit, new)


async def change_post(domain: Domain, actor: Actor, post_id: int, **changes: Any) -> Post:
    async with domain.unit(actor) as unit:
        return await posts.update(unit, post_id, PostChanges(**changes))


async def publish(domain: Domain, actor: Actor, post_id: int) -> Post:
    async with domain.unit(actor) as unit:
        return await posts.publish(unit, post_id)


async def happen(domain: Domain, actor: Actor, event_type: EventType = EventType.ACCOUNT_DELETED) -> Event:
    """An event with any content."""
    async with domain.unit(actor) as unit:
        await events.record(unit, event_type, {"uuid": "x"})
    return (await Event.filter(workspace_id=actor.workspace.id).order_by("-id"))[0]


async def multiply(times: int) -> None:
    """Add this many copies of the only delivery."""
    await rows(
        """INSERT INTO delivery (workspace_id, event_id, webhook_id, event_type, max_attempts, due_at)
        SELECT workspace_id, event_id, webhook_id, event_type, max_attempts, due_at
        FROM delivery, generate_series(1, $1)""",
        times,
    )


async def happen_while_deleting(domain: Domain, actor: Actor, webhook_id: int) -> None:
    """An event whose delivery to this webhook is committed after the webhook was deleted."""
    made, deleted = asyncio.Event(), asyncio.Event()

    async def delete() -> None:
        await made.wait()
        async with domain.unit(actor) as unit:
            await webhooks.delete(unit, webhook_id)
        deleted.set()

    deleting = asyncio.create_task(delete())
    async with domain.unit(actor) as unit:
        await dispatch.create_with_event(unit, EventType.ACCOUNT_DELETED, "{}")
        made.set()
        await deleted.wait()
    await deleting


async def documents() -> list[tuple[str, dict[str, Any]]]:
    """Name and data of every event so far, in their order."""
    return [(event.type.value, json.loads(event.document)["data"]) for event in await Event.all().order_by("id")]


async def names() -> list[str]:
    return [name for name, _ in await documents()]


def opened(domain: Domain, webhook: Webhook, column: str) -> str:
    """The decrypted value of this column of a webhook."""
    return domain.vault.open(
        getattr(webhook, column), workspace_id=webhook.workspace_id, row=str(webhook.uuid), field=column
    )


async def delivered_to(webhook: Webhook) -> list[str]:
    """The events of which this webhook has deliveries."""
    made = await Delivery.filter(webhook_id=webhook.id).order_by("id")
    return [delivery.event_type.value for delivery in made]


def faults_of(refused: pytest.ExceptionInfo[Refused]) -> set[tuple[str, FaultCode]]:
    return {(".".join(fault.field), fault.code) for fault in refused.value.faults}
