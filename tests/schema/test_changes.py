import json
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import pytest
from graphql import ExecutionResult, execute, parse

from domain import request, tables, webhooks
from domain.live import Entry
from domain.request import Assignment
from domain.vocabulary import ContentType, EventType, HttpMethod
from schema.changes import DeliveryStatusChange, PostStatusChange
from schema.schema import schema
from tests.schema.conftest import Client, Json
from tests.schema.counting import Counter
from tests.schema.world import World, attempted, furnish

SCALARS = """
  cursor occurredAt status
  delivery {
    id uuid status attemptCount maxAttempts createdAt finishedAt nextAttemptAt waitingFor
    event { id uuid type occurredAt }
  }
  attempt { id number startedAt durationMs outcome error responseStatus }
"""
REST = """
  delivery { event { payload } webhook { id name } retryOf { id } attempts { number } }
  attempt {
    requestUrl requestMethod requestHeaders { name value } responseHeaders { name } responseBody responseTruncated
  }
"""


def change(world: World, **more: Any) -> Entry:
    """A change of the world's delivery, as it stands in the live stream."""
    delivery = {
        "id": world.delivery.id,
        "uuid": str(world.delivery.uuid),
        "status": "retrying",
        "attempt_count": 1,
        "max_attempts": 10,
        "created_at": "2026-03-01T11:59:00Z",
        "finished_at": None,
        "next_attempt_at": "2026-03-01T12:00:05.5Z",
        "waiting_for": "backoff",
        "retry_of_id": None,
        "webhook_id": world.webhook.id,
        "event_id": world.event.id,
    }
    event = {
        "id": world.event.id,
        "uuid": str(world.event.uuid),
        "type": "post.created",
        "occurred_at": "2026-03-01T11:59:00Z",
    }
    attempt = {
        "number": 1,
        "started_at": "2026-03-01T12:00:00Z",
        "duration_ms": 25,
        "outcome": "http_error",
        "error": "The receiver answered 500.",
        "response_status": 500,
    }
    data = {
        "status": "retrying",
        "occurred_at": "2026-03-01T12:00:00.025Z",
        "delivery": delivery,
        "event": event,
        "attempt": attempt,
    }
    return Entry("17-0", "delivery", {**data, **more})


async def shown(ask: Client, entry: Entry, fields: str) -> Json:
    """The change's fields, executed as api/ does it: once, with the change as root value."""
    name = "deliveryStatusChanged" if entry.kind == "delivery" else "postStatusChanged"
    document = parse(f"subscription {{ {name} {{ {fields} }} }}")
    root = (DeliveryStatusChange if entry.kind == "delivery" else PostStatusChange).of(entry)
    pending = execute(schema._schema, document, root_value=root, context_value=ask.context)
    result = pending if not hasattr(pending, "__await__") else await pending
    assert isinstance(result, ExecutionResult)
    assert result.errors is None
    assert isinstance(result.data, dict)
    found: Json = result.data[name]
    return found


async def test_plain_fields_of_a_change_need_no_database(ask: Client) -> None:
    world = await furnish(ask)
    with Counter() as counter:
        told = await shown(ask, change(world), SCALARS)
    assert counter.statements == []
    assert told == {
        "cursor": "17-0",
        "occurredAt": "2026-03-01T12:00:00.025000Z",
        "status": "RETRYING",
        "delivery": {
            "id": world.ids["Delivery"],
            "uuid": str(world.delivery.uuid),
            # As it was at the time of the change, whatever the database says by now.
            "status": "RETRYING",
            "attemptCount": 1,
            "maxAttempts": 10,
            "createdAt": "2026-03-01T11:59:00Z",
            "finishedAt": None,
            "nextAttemptAt": "2026-03-01T12:00:05.500000Z",
            "waitingFor": "BACKOFF",
            "event": {
                "id": world.ids["Event"],
                "uuid": str(world.event.uuid),
                "type": "POST_CREATED",
                "occurredAt": "2026-03-01T11:59:00Z",
            },
        },
        "attempt": {
            "id": world.ids["Attempt"],
            "number": 1,
            "startedAt": "2026-03-01T12:00:00Z",
            "durationMs": 25,
            "outcome": "HTTP_ERROR",
            "error": "The receiver answered 500.",
            "responseStatus": 500,
        },
    }


async def test_what_a_change_does_not_carry_is_read_when_it_is_asked_for(ask: Client) -> None:
    world = await furnish(ask)
    with Counter() as counter:
        told = await shown(ask, change(world), REST)
    assert len(counter.statements) == 3
    assert told["delivery"]["event"]["payload"]["event"] == "post.created"
    assert told["delivery"]["webhook"] == {"id": world.ids["Webhook"], "name": "CRM"}
    assert told["delivery"]["attempts"] == [{"number": 1}]
    assert told["attempt"] == {
        "requestUrl": "http://127.0.0.1:8999/hook",
        "requestMethod": "POST",
        "requestHeaders": [{"name": "Content-Type", "value": "application/json"}],
        "responseHeaders": [{"name": "Server"}],
        "responseBody": "sorry",
        "responseTruncated": False,
    }


async def test_a_change_without_an_attempt_says_so(ask: Client) -> None:
    world = await furnish(ask)
    told = await shown(ask, change(world, attempt=None), "attempt { requestUrl } request { url }")
    assert told == {"attempt": None, "request": None}


def sent(world: World, webhook: tables.Webhook, content_type: ContentType) -> request.OutgoingRequest:
    """The first attempt of the world's delivery, as a worker builds it."""
    assignment = Assignment(
        delivery_uuid=str(world.delivery.uuid),
        number=1,
        event_uuid=str(world.event.uuid),
        event_type=EventType.POST_CREATED,
        occurred_at=world.event.occurred_at,
        document=world.event.document,
        url=webhook.callback_url,
        method=HttpMethod.POST,
        content_type=content_type,
        secret="hush",
        headers=(("X-Team", "blue"), ("X-Api-Key", "planted")),
    )
    return request.build(assignment, datetime.now(UTC))


@pytest.mark.parametrize("content_type", ContentType)
async def test_an_admin_gets_the_first_request_exactly_as_it_was_sent_and_nobody_else_does(
    ask: Client, member: Client, content_type: ContentType
) -> None:
    world = await furnish(ask)
    own = (("X-Team", "blue"), ("X-Api-Key", "planted"))
    async with ask.domain.unit(ask.actor) as unit:
        changes = webhooks.WebhookChanges(headers=own)
        webhook = await webhooks.update(unit, world.webhook.id, changes)
    outgoing = sent(world, webhook, content_type)
    logged = [list(header) for header in request.visible_headers(outgoing)]
    assert "planted" not in str(logged)
    await tables.Attempt.filter(id=world.attempt.id).update(request_headers=json.dumps(logged))
    fields = "request { url method headers { name value } body }"
    told = (await shown(ask, change(world), fields))["request"]
    assert (told["url"], told["method"]) == (outgoing.url, outgoing.method)
    assert tuple((header["name"], header["value"]) for header in told["headers"]) == outgoing.headers
    assert told["body"].encode() == outgoing.body
    assert (await shown(member, change(world), fields))["request"] is None


async def test_a_header_is_shown_as_it_was_sent_though_it_is_another_one_by_now(ask: Client) -> None:
    world = await furnish(ask)
    await tables.Attempt.filter(id=world.attempt.id).update(
        request_headers='[["Content-Type", "application/json"], ["X-Team", "blue"]]'
    )
    async with ask.domain.unit(ask.actor) as unit:
        await webhooks.update(unit, world.webhook.id, webhooks.WebhookChanges(headers=(("X-Team", "green"),)))
    told = (await shown(ask, change(world), "request { headers { name value } }"))["request"]
    assert told["headers"][1] == {"name": "X-Team", "value": "blue"}


async def test_only_the_change_of_the_first_attempt_that_counts_carries_its_request(ask: Client) -> None:
    world = await furnish(ask)
    await attempted(world.delivery, 2)

    async def carries(number: int, count: int, outcome: str = "http_error") -> bool:
        whole = change(world).data
        attempt = {**whole["attempt"], "number": number, "outcome": outcome}
        delivery = {**whole["delivery"], "attempt_count": count}
        told = await shown(ask, change(world, attempt=attempt, delivery=delivery), "request { url }")
        return told["request"] is not None

    assert await carries(1, count=1)
    assert not await carries(2, count=2)
    # If attempt 1 was interrupted, attempt 2 is the first that counts. If attempt 2 was interrupted instead, its
    # request is not shown, although it was logged.
    assert await carries(2, count=1)
    assert not await carries(2, count=1, outcome="interrupted")
    # If the worker died, what it sent was not logged and cannot be shown.
    await tables.Attempt.filter(id=world.attempt.id).update(request_headers="[]")
    assert not await carries(1, count=1)


POST_FIELDS = """
  cursor status occurredAt
  post {
    id status body scheduledAt publishedAt trashed createdAt updatedAt
    accounts { status externalUrl errors providerPostId } variants { body }
  }
"""


async def test_a_change_of_a_post_tells_how_it_stands_on_each_account(ask: Client) -> None:
    world = await furnish(ask)
    post = {
        "id": world.post.id, "uuid": str(world.post.uuid), "status": "failed", "body": "Hello", "trashed": True,
        "scheduled_at": "2026-03-01T11:57:00Z", "published_at": "2026-03-01T11:58:00Z",
        "created_at": "2026-03-01T11:56:00Z", "updated_at": "2026-03-01T11:59:00Z",
        "accounts": [
            {
                "account_id": world.account.id, "variant": "Hi", "status": "failed", "provider_post_id": None,
                "external_url": None, "errors": ["It did not work."],
            }
        ],
    }  # fmt: skip
    entry = Entry("18-0", "post", {"status": "failed", "occurred_at": "2026-03-01T12:00:00Z", "post": post})
    with Counter() as counter:
        told = await shown(ask, entry, POST_FIELDS)
    assert counter.statements == []
    assert told["status"] == told["post"]["status"] == "FAILED"
    assert told["occurredAt"] == "2026-03-01T12:00:00Z"
    assert told["post"]["id"] == world.ids["Post"]
    times = {name: told["post"][f"{name}At"] for name in ("created", "scheduled", "published", "updated")}
    assert list(times.values()) == [f"2026-03-01T11:{minute}:00Z" for minute in (56, 57, 58, 59)]
    assert told["post"]["trashed"] is True
    assert told["post"]["accounts"][0]["errors"] == ["It did not work."]
    assert told["post"]["variants"] == [{"body": "Hi"}]
    account = await shown(ask, entry, "post { accounts { account { id } } variants { account { id } } }")
    assert account["post"]["accounts"] == account["post"]["variants"] == [{"account": {"id": world.ids["Account"]}}]


@pytest.mark.parametrize("fields", [SCALARS, REST, SCALARS + REST + " request { url body }"])
async def test_executing_a_change_once_gives_what_strawberry_would_have_given(ask: Client, fields: str) -> None:
    await furnish(ask)
    results = ask.watch(f'subscription {{ deliveryStatusChanged(after: "0") {{ {fields} cursor }} }}')
    async with aclosing(results):
        told = (await anext(results))["data"]["deliveryStatusChanged"]
    (page,) = [page async for page in ask.domain.hub.live.history(ask.context.workspace_id, "0", told["cursor"])]
    entry = next(entry for entry in page if entry.cursor == told["cursor"])
    assert await shown(ask, entry, f"{fields} cursor") == told
