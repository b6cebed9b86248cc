"""A workspace with one of everything in it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from domain import accounts, ids, posts, replays, tables, webhooks
from domain.accounts import NewAccount
from domain.posts import NewPost
from domain.replays import NewReplay
from domain.vocabulary import AttemptOutcome, DeliveryStatus, EventType, HttpMethod, Provider
from domain.webhooks import NewWebhook
from tests.schema.conftest import Client

STARTED = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class World:
    """What is in the workspace, as rows."""

    account: tables.Account
    webhook: tables.Webhook
    post: tables.Post
    event: tables.Event
    delivery: tables.Delivery
    attempt: tables.Attempt
    replay: tables.Replay
    token: tables.Token
    workspace: tables.Workspace
    audit_event: tables.AuditEvent

    @property
    def ids(self) -> dict[str, str]:
        """Noun to id."""
        rows = vars(self) | {"attempt": None}
        nouns: dict[str, str] = {
            type(row).__name__: ids.make(type(row).__name__, row.pk) for row in rows.values() if row
        }
        return nouns | {"Attempt": ids.make("Attempt", f"{self.delivery.id}.{self.attempt.number}")}


async def furnish(ask: Client) -> World:
    """Make one of everything: a post whose first delivery has failed for good."""
    token = ask.actor.token
    assert token is not None
    name = f"account of {ask.actor.workspace.name}"
    account = await accounts.add(ask.domain, ask.actor, NewAccount(Provider.SANDBOX, identifier=name))
    async with ask.domain.unit(ask.actor) as unit:
        webhook, _ = await webhooks.create(
            unit, NewWebhook("CRM", "http://127.0.0.1:8999/hook", (EventType.POST_CREATED,), secret="hush")
        )
        post = await posts.create(unit, NewPost("Hello", (account.id,)))
    delivery = await tables.Delivery.get(webhook_id=webhook.id)
    attempt = await attempted(delivery)
    await finish(delivery)
    async with ask.domain.unit(ask.actor) as unit:
        since = datetime.now(UTC) - timedelta(days=1)
        replay = await replays.start(unit, NewReplay(webhook.id, (DeliveryStatus.FAILED,), since))
    return World(
        account=account,
        webhook=webhook,
        post=post,
        event=await tables.Event.get(id=delivery.event_id),
        delivery=await tables.Delivery.get(id=delivery.id),
        attempt=attempt,
        replay=replay,
        token=token,
        workspace=ask.actor.workspace,
        audit_event=await tables.AuditEvent.filter(workspace_id=ask.actor.workspace.id)
        .order_by("id")
        .get(action="webhook.create"),
    )


async def attempted(delivery: tables.Delivery, number: int = 1) -> tables.Attempt:
    """An attempt in the log."""
    return await tables.Attempt.create(
        delivery_id=delivery.id,
        number=number,
        started_at=STARTED,
        duration_ms=25,
        outcome=AttemptOutcome.HTTP_ERROR,
        error="The receiver answered 500.",
        request_url="http://127.0.0.1:8999/hook",
        request_method=HttpMethod.POST,
        request_headers='[["Content-Type", "application/json"]]',
        response_status=500,
        response_headers='[["Server", "test"]]',
        response_body="sorry",
    )


async def finish(delivery: tables.Delivery, status: DeliveryStatus = DeliveryStatus.FAILED) -> None:
    """Finish a delivery, as a worker would have."""
    await tables.Delivery.filter(id=delivery.id).update(
        status=status, finished_at=datetime.now(UTC), attempt_count=1, attempt_number=1, change=3
    )


async def many_deliveries(world: World, count: int) -> list[tables.Delivery]:
    """More deliveries, each of an event of its own, oldest first."""
    made = []
    for _ in range(count):
        event = await tables.Event.create(
            workspace_id=world.workspace.id, type=EventType.POST_PUBLISHED, document='{"event": "post.published"}'
        )
        made.append(
            await tables.Delivery.create(
                workspace_id=world.workspace.id,
                event_id=event.id,
                webhook_id=world.webhook.id,
                event_type=event.type,
                max_attempts=10,
            )
        )
    return made
