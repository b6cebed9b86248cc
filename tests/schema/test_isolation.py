"""Another workspace's id answers exactly as an unknown one does: wherever the schema takes an id or a cursor.

The arguments are found by walking the schema, so a new one without a case fails here. Each is given four values: an id
of this workspace (which must make a difference, or the test could not fail), another workspace's, an unknown one and
a malformed one; the last three must get the same answer.
"""

import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest

from domain import ids, pages, tables
from domain.live import Entry
from schema.subscriptions import FEEDS, follow
from tests.schema.conftest import Client
from tests.schema.documents import document
from tests.schema.places import PLACES, Place
from tests.schema.world import furnish

UNKNOWN = 999_999_999
PAGES = ("after", "before")
# Every place that takes an id or a cursor, and the types of what that stands for.
CASES: dict[str, tuple[str, ...]] = {
    "Query.node(id)": (
        "Account", "Attempt", "AuditEvent", "Delivery", "Event", "Post", "Replay", "Token", "Webhook", "Workspace",
    ),
    "Query.nodes(ids)": (
        "Account", "Attempt", "AuditEvent", "Delivery", "Event", "Post", "Replay", "Token", "Webhook", "Workspace",
    ),
    "Query.webhook(id)": ("Webhook",),
    "Query.delivery(id)": ("Delivery",),
    "Query.event(id)": ("Event",),
    "Query.account(id)": ("Account",),
    "Query.post(id)": ("Post",),
    "Query.deliveries(filter.webhookId)": ("Webhook",),
    "Webhook.deliveries(filter.webhookId)": ("Webhook",),
    "Query.posts(filter.accountId)": ("Account",),
    "Query.postPreview(accountId)": ("Account",),
    "Mutation.webhookUpdate(id)": ("Webhook",),
    "Mutation.webhookDelete(id)": ("Webhook",),
    "Mutation.webhookRotateSecret(id)": ("Webhook",),
    "Mutation.webhookTest(id)": ("Webhook",),
    "Mutation.deliveryRetry(id)": ("Delivery",),
    "Mutation.deliveryCancel(id)": ("Delivery",),
    "Mutation.deliveriesReplay(input.webhookId)": ("Webhook",),
    "Mutation.accountUpdate(id)": ("Account",),
    "Mutation.accountDelete(id)": ("Account",),
    "Mutation.postCreate(input.accountIds)": ("Account",),
    "Mutation.postCreate(input.variants.accountId)": ("Account",),
    "Mutation.postUpdate(id)": ("Post",),
    "Mutation.postUpdate(input.accountIds)": ("Account",),
    "Mutation.postUpdate(input.variants.accountId)": ("Account",),
    "Mutation.postSchedule(id)": ("Post",),
    "Mutation.postPublish(id)": ("Post",),
    "Mutation.postDelete(ids)": ("Post",),
    "Mutation.tokenRevoke(id)": ("Token",),
    "Subscription.deliveryStatusChanged(webhookId)": ("Webhook",),
    "Subscription.deliveryStatusChanged(deliveryId)": ("Delivery",),
    "Subscription.postStatusChanged(postId)": ("Post",),
    # For cursors of pages: the types whose rows the lists are made of.
    **{f"Query.webhooks({name})": ("Webhook",) for name in PAGES},
    **{f"Query.deliveries({name})": ("Delivery",) for name in PAGES},
    **{f"Query.events({name})": ("Event",) for name in PAGES},
    **{f"Query.accounts({name})": ("Account",) for name in PAGES},
    **{f"Query.posts({name})": ("Post",) for name in PAGES},
    **{f"Query.auditEvents({name})": ("AuditEvent",) for name in PAGES},
    **{f"Workspace.tokens({name})": ("Token",) for name in PAGES},
    **{f"Webhook.deliveries({name})": ("Delivery",) for name in PAGES},
    **{f"Event.deliveries({name})": ("Delivery",) for name in PAGES},
    "Subscription.deliveryStatusChanged(after)": ("cursor",),
    "Subscription.postStatusChanged(after)": ("cursor",),
}  # fmt: skip


def of_kind(*kinds: str, cursors: bool = False) -> list[Any]:
    """Place and noun of the cases under these types."""
    return [
        pytest.param(PLACES[name], noun, id=f"{name}-{noun}")
        for name, nouns in CASES.items()
        if name in PLACES and PLACES[name].is_cursor is cursors and name.split(".")[0] in kinds
        for noun in nouns
    ]


def test_every_place_that_takes_an_id_or_a_cursor_has_a_case(capsys: pytest.CaptureFixture[str]) -> None:
    assert set(PLACES) == set(CASES)
    with capsys.disabled():
        print(f"\nisolation: {len(PLACES)} arguments and input fields that take ids or cursors are covered")


async def answered(ask: Client, text: str, id_: str) -> str:
    """The answer that a client gets, without the id that was asked for and the locations of errors."""
    answer = await ask.answer(text)
    for error in answer["errors"]:
        error.pop("locations", None)
    return json.dumps(answer, default=str, sort_keys=True).replace(json.dumps(id_), '"ID"')


def unknown(noun: str) -> str:
    return ids.make(noun, f"{UNKNOWN}.1" if noun == "Attempt" else UNKNOWN)


@pytest.mark.parametrize(("place", "noun"), of_kind("Query", "Mutation", "Webhook", "Event", "Workspace"))
async def test_another_workspaces_id_answers_exactly_as_an_unknown_one(
    ask: Client, stranger: Client, place: Place, noun: str
) -> None:
    mine, theirs = await furnish(ask), await furnish(stranger)
    answers = {
        value: await answered(ask, document(place, id_, mine), id_)
        for value, id_ in [("foreign", theirs.ids[noun]), ("unknown", unknown(noun)), ("malformed", "no id at all")]
    }
    assert answers["foreign"] == answers["unknown"] == answers["malformed"]
    own = await answered(ask, document(place, mine.ids[noun], mine), mine.ids[noun])
    assert own != answers["unknown"], "the document does not depend on the id, so it proves nothing"
    if place.parent == "Mutation":
        assert '"NOT_FOUND"' in answers["unknown"] or place.path[-1] == "accountId"
        assert '"NOT_FOUND"' not in own


@pytest.mark.parametrize(("place", "noun"), of_kind("Query", "Webhook", "Event", "Workspace", cursors=True))
async def test_a_cursor_made_of_another_workspaces_row_answers_exactly_as_one_made_of_no_row(
    ask: Client, stranger: Client, place: Place, noun: str
) -> None:
    table = next(table for table in vars(tables).values() if getattr(table, "__name__", "") == noun)
    mine = await furnish(ask)
    older = await table.get(id=getattr(mine, _attribute(noun)).id)
    foreign, burned = [await _copy(older, workspace_id=stranger.actor.workspace.id) for _ in range(2)]
    await burned.delete()
    newer = await _copy(older, workspace_id=ask.actor.workspace.id)
    answers = []
    for row in (foreign, burned):
        cursor = pages.cursor_of(table, row.id)
        answers.append(await answered(ask, document(place, cursor, mine), cursor))
    assert answers[0] == answers[1]
    end = older if place.path[-1] == "after" else newer
    own = pages.cursor_of(table, end.id)
    assert await answered(ask, document(place, own, mine), own) != answers[0]


def _attribute(noun: str) -> str:
    return "audit_event" if noun == "AuditEvent" else noun.lower()


async def _copy(row: Any, workspace_id: int) -> Any:
    copy = row.clone(pk=None)
    copy.workspace_id = workspace_id
    for field, value in (
        ("uuid", None),
        ("provider_id", f"copy-{workspace_id}-{id(copy)}"),
        ("digest", id(copy).to_bytes(8)),
    ):
        if hasattr(copy, field):
            setattr(copy, field, type(row)._meta.fields_map["uuid"].default() if field == "uuid" else value)
    await copy.save(force_create=True)
    return copy


@pytest.mark.parametrize(("place", "noun"), of_kind("Subscription"))
async def test_a_subscription_for_another_workspaces_id_is_told_as_little_as_one_for_an_unknown_id(
    ask: Client, stranger: Client, place: Place, noun: str
) -> None:
    mine, theirs = await furnish(ask), await furnish(stranger)
    entries = await kept(ask)

    def told(id_: str) -> list[Entry]:
        wanted = FEEDS[place.field].wanted({place.path[0]: id_})
        return [entry for entry in entries if wanted(entry)]

    assert told(theirs.ids[noun]) == told(unknown(noun)) == told("no id at all") == []
    assert told(mine.ids[noun]) != []


@pytest.mark.parametrize(("place", "_noun"), of_kind("Subscription", cursors=True))
async def test_a_subscription_from_another_workspaces_cursor_ends_as_one_from_no_cursor_does(
    ask: Client, stranger: Client, place: Place, _noun: str
) -> None:
    await furnish(ask)
    own = [entry.cursor for entry in await kept(ask)]
    await furnish(stranger)
    foreign = (await kept(stranger))[-1].cursor
    milliseconds, _, count = foreign.partition("-")
    text = f"subscription ($after: String) {{ {place.field}(after: $after) {{ cursor }} }}"

    async def first(after: str) -> Any:
        results = ask.watch(text, after=after)
        async with aclosing(results), asyncio.timeout(60):
            return await anext(results)

    refused = await first(foreign)
    assert refused == await first(f"{milliseconds}-{int(count) + 7}")
    assert [error["extensions"]["code"] for error in refused["errors"]] == ["BAD_USER_INPUT"]
    async with (
        aclosing(follow(ask.domain.hub, ask.context.workspace_id, lambda _: True, own[0])) as found,
        asyncio.timeout(60),
    ):
        assert (await anext(found)).cursor == own[1]


async def kept(ask: Client) -> list[Entry]:
    """The first entries of a furnished workspace's stream: at least one change of a delivery and one of a post."""
    entries: list[Entry] = []
    async with (
        aclosing(follow(ask.domain.hub, ask.context.workspace_id, lambda _: True, "0")) as found,
        asyncio.timeout(60),
    ):
        async for entry in found:
            entries.append(entry)
            if {entry.kind for entry in entries} == {"delivery", "post"}:
                break
    return entries
