from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import ids, tables
from domain.database import rows
from domain.vocabulary import DeliveryStatus
from tests.clocks import shift
from tests.domain.explaining import rows_read
from tests.schema.conftest import Client
from tests.schema.world import furnish, many_deliveries

READ = """
query ($id: ID!) {
  delivery(id: $id) {
    id uuid status attemptCount maxAttempts createdAt finishedAt nextAttemptAt waitingFor
    event { id uuid type occurredAt payload deliveries { nodes { id } } }
    webhook { name } retryOf { id }
    attempts {
      id number startedAt durationMs outcome error requestUrl requestMethod requestHeaders { name value }
      responseStatus responseHeaders { name value } responseBody responseTruncated
    }
  }
}
"""


async def test_a_delivery_tells_its_whole_story(ask: Client) -> None:
    world = await furnish(ask)
    delivery = (await ask(READ, id=world.ids["Delivery"]))["delivery"]
    assert delivery["status"] == "FAILED"
    assert (delivery["attemptCount"], delivery["maxAttempts"]) == (1, 10)
    assert (delivery["nextAttemptAt"], delivery["waitingFor"], delivery["retryOf"]) == (None, None, None)
    assert delivery["event"]["type"] == "POST_CREATED"
    assert delivery["event"]["payload"]["event"] == "post.created"
    assert delivery["event"]["payload"]["data"]["uuid"] == str(world.post.uuid)
    assert delivery["event"]["deliveries"]["nodes"] == [{"id": world.ids["Delivery"]}]
    assert delivery["webhook"] == {"name": "CRM"}
    assert delivery["attempts"] == [
        {
            "id": world.ids["Attempt"],
            "number": 1,
            "startedAt": "2026-03-01T12:00:00Z",
            "durationMs": 25,
            "outcome": "HTTP_ERROR",
            "error": "The receiver answered 500.",
            "requestUrl": "http://127.0.0.1:8999/hook",
            "requestMethod": "POST",
            "requestHeaders": [{"name": "Content-Type", "value": "application/json"}],
            "responseStatus": 500,
            "responseHeaders": [{"name": "Server", "value": "test"}],
            "responseBody": "sorry",
            "responseTruncated": False,
        }
    ]


async def test_the_log_of_a_deleted_webhook_stays_without_the_webhook(ask: Client) -> None:
    world = await furnish(ask)
    await ask("mutation ($id: ID!) { webhookDelete(id: $id) { deletedWebhookId } }", id=world.ids["Webhook"])
    delivery = (await ask(READ, id=world.ids["Delivery"]))["delivery"]
    assert delivery["webhook"] is None
    assert len(delivery["attempts"]) == 1
    replay = await ask(
        "query ($id: ID!) { node(id: $id) { ... on Replay { webhook { id } } } }", id=world.ids["Replay"]
    )
    assert replay["node"] == {"webhook": None}


FIND = "query ($uuid: String!) { deliveries(filter: { eventUuid: $uuid }) { totalCount nodes { id } } }"


async def test_the_deliveries_of_an_event_are_found_by_what_a_receiver_knows_of_it(
    ask: Client, stranger: Client
) -> None:
    world, theirs = await furnish(ask), await furnish(stranger)
    again = (await ask(RETRY, id=world.ids["Delivery"]))["deliveryRetry"]["delivery"]["id"]
    found = (await ask(FIND, uuid=str(world.event.uuid)))["deliveries"]
    assert found == {"totalCount": 2, "nodes": [{"id": again}, {"id": world.ids["Delivery"]}]}
    for uuid in (str(theirs.event.uuid), str(world.delivery.uuid), "", "no uuid", "x" * 5000, "\0"):
        assert (await ask(FIND, uuid=uuid))["deliveries"] == {"totalCount": 0, "nodes": []}


RETRY = """
mutation ($id: ID!) {
  deliveryRetry(id: $id) { delivery { id status retryOf { id } event { id } } errors { code field } }
}
"""
CANCEL = """
mutation ($id: ID!) {
  deliveryCancel(id: $id) { delivery { id status finishedAt waitingFor } errors { code field } }
}
"""


async def test_a_finished_delivery_is_sent_again_as_a_new_one(ask: Client) -> None:
    world = await furnish(ask)
    again = (await ask(RETRY, id=world.ids["Delivery"]))["deliveryRetry"]
    assert again["errors"] == []
    assert again["delivery"]["id"] != world.ids["Delivery"]
    assert again["delivery"]["status"] == "PENDING"
    assert again["delivery"]["retryOf"] == {"id": world.ids["Delivery"]}
    assert again["delivery"]["event"] == {"id": world.ids["Event"]}


async def test_an_unfinished_delivery_is_cancelled_and_a_finished_one_is_not(ask: Client) -> None:
    world = await furnish(ask)
    fresh = (await ask(RETRY, id=world.ids["Delivery"]))["deliveryRetry"]["delivery"]["id"]
    wrong = [{"code": "WRONG_STATE", "field": ["id"]}]
    assert (await ask(RETRY, id=fresh))["deliveryRetry"] == {"delivery": None, "errors": wrong}
    stopped = (await ask(CANCEL, id=fresh))["deliveryCancel"]["delivery"]
    assert (stopped["status"], stopped["waitingFor"]) == ("CANCELLED", None)
    assert stopped["finishedAt"] is not None
    assert (await ask(CANCEL, id=fresh))["deliveryCancel"] == {"delivery": None, "errors": wrong}


REPLAY = """
mutation ($input: DeliveriesReplayInput!) {
  deliveriesReplay(input: $input) { replay { id total done finishedAt webhook { id } } errors { code field } }
}
"""


async def test_a_replay_counts_what_it_will_send_again(ask: Client) -> None:
    world = await furnish(ask)
    wanted = {"webhookId": world.ids["Webhook"], "since": (world.delivery.created_at - timedelta(1)).isoformat()}
    replay = (await ask(REPLAY, input=wanted))["deliveriesReplay"]
    assert replay["errors"] == []
    assert (replay["replay"]["total"], replay["replay"]["done"]) == (1, 0)
    assert replay["replay"]["webhook"] == {"id": world.ids["Webhook"]}
    none = (await ask(REPLAY, input={**wanted, "statuses": ["SUCCEEDED"]}))["deliveriesReplay"]["replay"]
    assert none["total"] == 0
    assert none["finishedAt"] is not None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        pytest.param({"webhookId": "junk"}, ["input", "webhookId"], id="no webhook"),
        pytest.param({"statuses": ["FAILED", "PENDING"]}, ["input", "statuses", "1"], id="an unfinished status"),
        pytest.param({"since": "2100-01-01T00:00:00Z"}, ["input", "since"], id="from the future on"),
        pytest.param({"until": "2000-01-01T00:00:00Z"}, ["input", "until"], id="an end before the beginning"),
    ],
)
async def test_a_replay_that_cannot_be_is_refused(ask: Client, change: dict[str, Any], field: list[str]) -> None:
    world = await furnish(ask)
    wanted = {"webhookId": world.ids["Webhook"], "since": "2026-01-01T00:00:00Z"}
    refused = (await ask(REPLAY, input={**wanted, **change}))["deliveriesReplay"]
    assert [error["field"] for error in refused["errors"]] == [field]


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("delivery", "webhook", "reason", "known"),
    [
        pytest.param({}, {}, "QUEUED", True, id="due"),
        pytest.param({"status": "retrying", "due_at": HOUR}, {}, "BACKOFF", True, id="not due yet"),
        pytest.param(
            {"status": "retrying", "due_at": HOUR, "retry_after": True}, {}, "RETRY_AFTER", True, id="as asked for"
        ),
        pytest.param({}, {"circuit_open_until": HOUR}, "CIRCUIT_OPEN", True, id="an open circuit"),
        pytest.param({}, {"active": False}, "WEBHOOK_INACTIVE", False, id="an inactive webhook"),
        pytest.param({"status": "delivering"}, {}, None, False, id="under way"),
    ],
)
async def test_a_delivery_says_what_it_waits_for(
    ask: Client, delivery: dict[str, Any], webhook: dict[str, Any], reason: str | None, known: bool
) -> None:
    world = await furnish(ask)
    (row,) = await many_deliveries(world, 1)
    now = datetime.now(UTC)

    def absolute(columns: dict[str, Any]) -> dict[str, Any]:
        return {name: now + value if isinstance(value, timedelta) else value for name, value in columns.items()}

    if delivery:
        await tables.Delivery.filter(id=row.id).update(**absolute(delivery))
    if webhook:
        await tables.Webhook.filter(id=world.webhook.id).update(**absolute(webhook))
    told = (await ask(READ, id=ids.make("Delivery", row.id)))["delivery"]
    assert told["waitingFor"] == reason
    assert (told["nextAttemptAt"] is not None) is known


@pytest.mark.parametrize("ahead", [timedelta(hours=1), -timedelta(hours=1)], ids=["ahead", "behind"])
async def test_a_delivery_says_what_it_waits_for_by_the_clock_that_it_is_due_by(
    ask: Client, monkeypatch: pytest.MonkeyPatch, ahead: timedelta
) -> None:
    shift(monkeypatch, "schema.deliveries", ahead)
    world = await furnish(ask)
    await rows("UPDATE webhook SET active = true, circuit_open_until = NULL")
    for due, reason in (("now()", "QUEUED"), ("now() + interval '5 minutes'", "BACKOFF")):
        await rows(f"UPDATE delivery SET status = 'retrying', finished_at = NULL, due_at = {due}")
        assert (await ask(READ, id=world.ids["Delivery"]))["delivery"]["waitingFor"] == reason


async def test_a_webhook_lists_its_own_deliveries_alone(ask: Client) -> None:
    world = await furnish(ask)
    other = await tables.Webhook.create(
        workspace_id=world.workspace.id, name="other", callback_url="http://127.0.0.1:8999/", events=[]
    )
    document = """
    query ($id: ID!) {
      webhook(id: $id) {
        deliveries(filter: { statuses: [FAILED] }, orderBy: { field: CREATED_AT, direction: ASC }) {
          totalCount nodes { id }
        }
      }
    }
    """
    found = (await ask(document, id=world.ids["Webhook"]))["webhook"]["deliveries"]
    assert found == {"totalCount": 1, "nodes": [{"id": world.ids["Delivery"]}]}
    empty = (await ask(document, id=ids.make("Webhook", other.id)))["webhook"]["deliveries"]
    assert empty == {"totalCount": 0, "nodes": []}


async def test_stats_count_what_became_of_deliveries(ask: Client) -> None:
    world = await furnish(ask)
    await many_deliveries(world, 2)
    succeeded = (await many_deliveries(world, 1))[0]
    await tables.Delivery.filter(id=succeeded.id).update(status=DeliveryStatus.SUCCEEDED)
    document = """
    query ($id: ID!, $until: DateTime) {
      webhook(id: $id) { stats(until: $until) { deliveries succeeded failed pending attempts successRate p50Ms } }
    }
    """
    stats = (await ask(document, id=world.ids["Webhook"]))["webhook"]["stats"]
    assert stats == {
        "deliveries": 4, "succeeded": 1, "failed": 1, "pending": 2, "attempts": 1, "successRate": 0.5, "p50Ms": 25.0,
    }  # fmt: skip
    before = (await ask(document, id=world.ids["Webhook"], until="2026-01-01T00:00:00Z"))["webhook"]["stats"]
    assert before["deliveries"] == 0


@pytest.mark.unused_database
@pytest.mark.parametrize(
    ("table", "column", "document"),
    [
        ("delivery", "created_at", "{ found: deliveries(filter: {createdBefore: $at}) { totalCount } }"),
        ("event", "occurred_at", "{ found: events(filter: {occurredBefore: $at}) { totalCount } }"),
    ],
)
async def test_what_is_newer_than_what_is_asked_for_is_not_read(
    ask: Client, table: str, column: str, document: str
) -> None:
    world = await furnish(ask)
    last = (await rows(f"SELECT max(id) AS id FROM {table}"))[0]["id"]
    await rows(f"UPDATE {table} SET {column} = {column} - interval '1 day'")
    types = ("event_id, webhook_id, event_type, max_attempts", "type, document")[table == "event"]
    await rows(
        f"INSERT INTO {table} (workspace_id, {types}) SELECT workspace_id, {types}"
        f" FROM {table}, generate_series(1, 3000) WHERE id = $1",
        last,
    )
    before = (world.delivery.created_at - timedelta(hours=12)).isoformat()

    async with rows_read(table) as count:
        found = (await ask("query ($at: DateTime!) " + document, at=before))["found"]

    assert 1 <= found["totalCount"] <= last
    assert count.rows < 200
