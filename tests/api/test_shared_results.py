"""Executing a change once for all subscribers gives the results that Strawberry gives each of them."""

import asyncio
import gc
import json
import random
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import islice
from typing import Any

from graphql.execution.collect_fields import FieldDetails

from api.documents import BadDocument
from api.execution import Asked
from domain import ids
from domain.vocabulary import DeliveryStatus, EventType
from schema.context import Context
from schema.errors import present
from schema.plain_fields import _Plan
from schema.schema import schema
from tests.api.changes import announce, delivery_change, some_changes, succeeded
from tests.api.conftest import Api
from tests.api.documents import many
from tests.api.test_live_feed import listen
from tests.domain.doing import change_webhook, create_webhook, publish
from tests.schema.conftest import Client
from tests.schema.world import World, furnish

SEED = 11
RANDOM_DOCUMENTS = 100
DOCUMENTS = (
    "subscription { deliveryStatusChanged { cursor occurredAt status } }",
    "subscription { a: deliveryStatusChanged { b: status c: status } }",
    "subscription { deliveryStatusChanged { attempt { id number outcome durationMs error responseStatus } } }",
    "subscription { deliveryStatusChanged { attempt { requestUrl requestHeaders { name value } responseBody } } }",
    "subscription { deliveryStatusChanged { delivery { id uuid status webhook { name callbackUrl events } } } }",
    "subscription { deliveryStatusChanged { delivery { attempts { number } "
    "event { type payload deliveries { totalCount } } } } }",
    "subscription { deliveryStatusChanged { delivery { retryOf { id } waitingFor nextAttemptAt finishedAt } } }",
    "subscription { deliveryStatusChanged { ...f } } fragment f on DeliveryStatusChange { status delivery { ...g } } "
    "fragment g on Delivery { __typename id ... on Delivery { uuid } }",
    "subscription { deliveryStatusChanged { __typename request { url body headers { name value } } } }",
    "subscription($yes: Boolean!) { deliveryStatusChanged { status @include(if: $yes) cursor @skip(if: $yes) } }",
    "subscription($w: ID) { deliveryStatusChanged(webhookId: $w) { delivery { id } } }",
    "subscription($t: [EventType!]) { deliveryStatusChanged(eventTypes: $t) { delivery { event { type } } } }",
    "subscription { deliveryStatusChanged(statuses: [SUCCEEDED, FAILED]) { status } }",
    "subscription { ...root } fragment root on Subscription { deliveryStatusChanged { status } }",
    "subscription { deliveryStatusChanged { delivery { webhook { "
    "deliveries(first: 2) { nodes { id } } stats { deliveries } } } } }",
)


async def things(api: Api) -> World:
    """Some changes of a delivery and of a post."""
    domain, workspace_id = api.process.domain, api.actor.workspace.id
    world = await furnish(Client(domain, api.actor))
    of_world = {"webhook_id": world.webhook.id, "event_id": world.event.id}
    created = {"event_type": EventType.POST_CREATED, "attempt": succeeded(), **of_world}
    await publish(domain, api.actor, world.post.id)
    await domain.outlet.flush()
    changes = [
        delivery_change(workspace_id, world.delivery.id, 91, **created),
        delivery_change(workspace_id, world.delivery.id, 92, DeliveryStatus.FAILED, **of_world),
    ]
    await announce(domain, changes)
    return world


async def compare(api: Api, text: str, variables: dict[str, Any]) -> int:
    """Compare our results with Strawberry's own, one by one; returns how many there were."""
    listener, subscription = await listen(api, text, **used(text, variables))
    subscription.close()
    assert listener.results == await stock_results(api, text, variables, len(listener.results)), text
    return len(listener.results)


async def test_results_are_those_of_strawberrys_own_execution(api: Api) -> None:
    world = await things(api)
    workspace_id, event_id = api.actor.workspace.id, world.event.id
    await announce(
        api.process.domain,
        [
            *some_changes(workspace_id, 3, event_type=EventType.POST_DELETED, event_id=event_id),
            *some_changes(workspace_id, 3, event_id=event_id),
            *some_changes(workspace_id, 1),  # of no event, so that its payload is an error
        ],
    )
    variables = {"yes": True, "w": ids.make("Webhook", world.webhook.id), "t": ["POST_CREATED", "POST_DELETED"]}
    compared = Counter({text: await compare(api, resuming(text), variables) for text in DOCUMENTS})
    assert sum(compared.values()) > 60
    assert all(compared.values())


async def test_so_are_those_of_documents_that_nobody_wrote(api: Api) -> None:
    await things(api)
    engine, rand = api.process.engine, random.Random(SEED)
    documents = (text for text in many(engine.schema, rand) if is_allowed(api, text))
    compared = Counter({text: await compare(api, text, {"yes": True}) for text in islice(documents, RANDOM_DOCUMENTS)})
    assert len(compared) > RANDOM_DOCUMENTS / 2
    assert all(compared.values())


async def test_what_executing_a_change_has_made_goes_with_it(api: Api) -> None:
    """A subscription lives for days: anything that each change left behind would fill the memory."""
    listener, _ = await listen(api, "subscription { deliveryStatusChanged { status delivery { id event { id } } } }")

    async def left_after(number: int) -> int:
        await announce(api.process.domain, some_changes(api.actor.workspace.id, number))
        await listener.until(len(listener.payloads) + number)
        gc.collect()
        return sum(type(each) in {FieldDetails, _Plan} for each in gc.get_objects())

    assert await left_after(1) == await left_after(20)


def is_allowed(api: Api, text: str) -> bool:
    """Whether a document is within the limits. One with any other fault is kept, so that it fails the test."""
    try:
        api.process.engine.prepare(Asked(text, None, used(text, {"yes": True})))
    except BadDocument as error:
        return {(found.extensions or {}).get("code") for found in error.errors} != {"QUERY_TOO_COMPLEX"}
    return True


def resuming(text: str) -> str:
    """The document, with an argument that resumes from the oldest change."""
    head, name, rest = text.partition("deliveryStatusChanged")
    return f'{head}{name}(after: "0", {rest[1:]}' if rest.startswith("(") else f'{head}{name}(after: "0"){rest}'


def used(text: str, variables: dict[str, Any]) -> dict[str, Any]:
    """The variables that a document declares."""
    return {name: value for name, value in variables.items() if f"${name}:" in text}


async def stock_results(api: Api, text: str, variables: dict[str, Any], number: int) -> list[Any]:
    """The first results that Strawberry itself gives."""
    context = Context(api.process.domain, api.actor, "live")
    results: AsyncGenerator[Any, None] = await schema.subscribe(text, used(text, variables), context)
    found: list[Any] = []
    async with asyncio.timeout(60), aclosing(results):
        while len(found) < number:
            result = await anext(results)
            body: dict[str, Any] = {"data": result.data}
            if result.errors:
                body["errors"] = [present(error, "live").formatted for error in result.errors]
            found.append(json.loads(json.dumps(body)))
    return found


async def test_what_was_read_for_one_change_does_not_answer_for_the_next(api: Api) -> None:
    domain, workspace_id = api.process.domain, api.actor.workspace.id
    webhook, _ = await create_webhook(domain, api.actor, name="Before")
    listener, _ = await listen(api, "subscription { deliveryStatusChanged { delivery { webhook { name } } } }")
    await announce(domain, some_changes(workspace_id, 1, webhook_id=webhook.id))
    await listener.until(1)
    await change_webhook(domain, api.actor, webhook, name="After")
    await announce(domain, some_changes(workspace_id, 1, webhook_id=webhook.id))
    await listener.until(2)
    told = [result["data"]["deliveryStatusChanged"]["delivery"]["webhook"]["name"] for result in listener.results]
    assert told == ["Before", "After"]
