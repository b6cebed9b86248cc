from typing import Any

import pytest

from domain import ids, tables
from tests.schema.conftest import Client

CREATE = """
mutation ($input: WebhookCreateInput!) {
  webhookCreate(input: $input) {
    webhook {
      id uuid name callbackUrl method contentType maxAttempts active disabledReason disabledAt hasSecret events
      headers { name value } createdAt updatedAt
    }
    secret
    errors { code field message }
  }
}
"""
UPDATE = """
mutation ($id: ID!, $input: WebhookUpdateInput!) {
  webhookUpdate(id: $id, input: $input) {
    webhook { name callbackUrl events active hasSecret maxAttempts method contentType headers { name value } }
    errors { code field }
  }
}
"""
GOOD: dict[str, Any] = {"name": "CRM", "callbackUrl": "https://crm.example/hook", "events": ["POST_PUBLISHED"]}


async def create(ask: Client, **more: Any) -> Any:
    made = (await ask(CREATE, input={**GOOD, **more}))["webhookCreate"]
    assert made["errors"] == []
    return made


async def test_a_webhook_is_created_with_what_was_asked_for_and_defaults_for_the_rest(ask: Client) -> None:
    made = await create(ask)
    webhook = made["webhook"]
    assert made["secret"] is None
    assert webhook.pop("id") != webhook.pop("uuid")
    assert webhook.pop("createdAt") <= webhook.pop("updatedAt")
    assert webhook == {
        "name": "CRM",
        "callbackUrl": "https://crm.example/hook",
        "method": "POST",
        "contentType": "JSON",
        "maxAttempts": 10,
        "active": True,
        "disabledReason": None,
        "disabledAt": None,
        "hasSecret": False,
        "events": ["POST_PUBLISHED"],
        "headers": [],
    }


async def test_every_field_of_a_new_webhook_can_be_chosen(ask: Client) -> None:
    made = await create(
        ask,
        events=["POST_PUBLISHING_FAILED", "ACCOUNT_ADDED"],
        method="PUT",
        contentType="FORM",
        maxAttempts=1,
        active=False,
        secret="hush",
        headers=[{"name": "X-Team", "value": "blue"}, {"name": "X-Api-Key", "value": "planted"}],
    )
    webhook = made["webhook"]
    assert made["secret"] == "hush"
    assert (webhook["method"], webhook["contentType"], webhook["maxAttempts"]) == ("PUT", "FORM", 1)
    assert (webhook["active"], webhook["hasSecret"]) == (False, True)
    assert webhook["events"] == ["POST_PUBLISHING_FAILED", "ACCOUNT_ADDED"]
    assert webhook["headers"][0] == {"name": "X-Team", "value": "blue"}
    assert webhook["headers"][1]["name"] == "X-Api-Key"
    assert "planted" not in str(webhook)


async def test_a_secret_is_generated_where_that_is_asked_for(ask: Client) -> None:
    assert (await create(ask, generateSecret=True))["secret"].startswith("whsec_")


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        pytest.param({"name": ""}, "REQUIRED", ["input", "name"], id="an empty name"),
        pytest.param({"name": "a\0b"}, "INVALID", ["input", "name"], id="NUL in the name"),
        pytest.param({"name": "x" * 10_000}, "TOO_LONG", ["input", "name"], id="a long name"),
        pytest.param({"callbackUrl": "no url"}, "INVALID", ["input", "callbackUrl"], id="no URL"),
        pytest.param({"callbackUrl": "ftp://crm.example/"}, "INVALID", ["input", "callbackUrl"], id="ftp"),
        pytest.param({"callbackUrl": "http://10.0.0.1/"}, "ADDRESS_REFUSED", ["input", "callbackUrl"], id="inside"),
        pytest.param({"maxAttempts": 0}, "OUT_OF_RANGE", ["input", "maxAttempts"], id="no attempts"),
        pytest.param({"maxAttempts": 21}, "OUT_OF_RANGE", ["input", "maxAttempts"], id="too many attempts"),
        pytest.param({"events": []}, "REQUIRED", ["input", "events"], id="no events"),
        pytest.param({"secret": "x" * 10_000}, "TOO_LONG", ["input", "secret"], id="a long secret"),
        pytest.param(
            {"headers": [{"name": "X-A", "value": "1"}, {"name": "Host", "value": "x"}]},
            "INVALID",
            ["input", "headers", "1", "name"],
            id="a forbidden header",
        ),
    ],
)
async def test_bad_input_is_told_with_code_and_field_and_nothing_is_stored(
    ask: Client, change: dict[str, Any], code: str, field: list[str]
) -> None:
    refused = (await ask(CREATE, input={**GOOD, **change}))["webhookCreate"]
    assert [(error["code"], error["field"]) for error in refused["errors"]] == [(code, field)]
    assert refused["errors"][0]["message"]
    assert (refused["webhook"], refused["secret"]) == (None, None)
    assert await tables.Webhook.all().count() == 0


async def test_all_faults_of_an_input_are_told_at_once(ask: Client) -> None:
    bad = {"name": " ", "callbackUrl": "ftp://x/", "events": [], "maxAttempts": 99}
    refused = (await ask(CREATE, input=bad))["webhookCreate"]
    assert {error["field"][1] for error in refused["errors"]} == {"name", "callbackUrl", "events", "maxAttempts"}


async def test_what_an_update_leaves_out_stays_and_null_removes(ask: Client) -> None:
    headers = [{"name": "X-Team", "value": "blue"}]
    webhook = (await create(ask, secret="hush", headers=headers))["webhook"]
    renamed = (await ask(UPDATE, id=webhook["id"], input={"name": "Slack"}))["webhookUpdate"]
    assert renamed["errors"] == []
    assert renamed["webhook"] == {
        "name": "Slack",
        "callbackUrl": GOOD["callbackUrl"],
        "events": GOOD["events"],
        "active": True,
        "hasSecret": True,
        "maxAttempts": 10,
        "method": "POST",
        "contentType": "JSON",
        "headers": headers,
    }
    bare = (await ask(UPDATE, id=webhook["id"], input={"secret": None, "headers": None}))["webhookUpdate"]["webhook"]
    assert (bare["hasSecret"], bare["headers"], bare["name"]) == (False, [], "Slack")


async def test_every_field_of_a_webhook_can_be_changed(ask: Client) -> None:
    webhook = (await create(ask))["webhook"]
    wanted = {
        "name": "Slack",
        "callbackUrl": "https://slack.example/hook",
        "events": ["ACCOUNT_ADDED", "POST_DELETED"],
        "active": False,
        "maxAttempts": 3,
        "method": "PUT",
        "contentType": "FORM",
        "headers": [{"name": "X-Team", "value": "blue"}],
    }
    changed = (await ask(UPDATE, id=webhook["id"], input=wanted | {"secret": "hush"}))["webhookUpdate"]
    assert changed == {"webhook": wanted | {"hasSecret": True}, "errors": []}


async def test_headers_can_be_sent_back_as_they_were_read(ask: Client) -> None:
    given = [{"name": "X-Api-Key", "value": "s3cret"}, {"name": "X-Team", "value": "crm"}]
    webhook = (await create(ask, headers=given))["webhook"]
    read = webhook["headers"]
    assert read == [{"name": "X-Api-Key", "value": "(hidden)"}, given[1]]
    changed = (await ask(UPDATE, id=webhook["id"], input={"headers": read}))["webhookUpdate"]
    assert (changed["webhook"]["headers"], changed["errors"]) == (read, [])
    renamed = [{"name": "X-Other-Key", "value": "(hidden)"}]
    refused = (await ask(UPDATE, id=webhook["id"], input={"headers": renamed}))["webhookUpdate"]
    assert refused["errors"] == [{"code": "INVALID", "field": ["input", "headers", "0", "value"]}]


async def test_null_is_a_fault_where_a_webhook_needs_a_value(ask: Client) -> None:
    webhook = (await create(ask))["webhook"]
    refused = (await ask(UPDATE, id=webhook["id"], input={"name": None, "events": None}))["webhookUpdate"]
    assert refused["webhook"] is None
    assert refused["errors"] == [
        {"code": "REQUIRED", "field": ["input", "name"]},
        {"code": "REQUIRED", "field": ["input", "events"]},
    ]


async def test_a_deleted_webhook_is_gone_everywhere(ask: Client) -> None:
    webhook = (await create(ask))["webhook"]
    delete = "mutation ($id: ID!) { webhookDelete(id: $id) { deletedWebhookId errors { code field } } }"
    assert (await ask(delete, id=webhook["id"]))["webhookDelete"] == {"deletedWebhookId": webhook["id"], "errors": []}
    read = "query ($id: ID!) { webhook(id: $id) { id } node(id: $id) { id } webhooks { totalCount nodes { id } } }"
    gone = {"webhook": None, "node": None, "webhooks": {"totalCount": 0, "nodes": []}}
    assert await ask(read, id=webhook["id"]) == gone
    again = (await ask(delete, id=webhook["id"]))["webhookDelete"]
    assert again == {"deletedWebhookId": None, "errors": [{"code": "NOT_FOUND", "field": ["id"]}]}


ROTATE = """
mutation ($id: ID!, $input: WebhookRotateSecretInput) {
  webhookRotateSecret(id: $id, input: $input) { webhook { hasSecret } secret errors { code field } }
}
"""


async def test_a_secret_is_rotated_to_a_generated_one_or_to_a_given_one(ask: Client) -> None:
    webhook = (await create(ask))["webhook"]
    generated = (await ask(ROTATE, id=webhook["id"]))["webhookRotateSecret"]
    assert generated["secret"].startswith("whsec_")
    assert generated["webhook"] == {"hasSecret": True}
    given = (await ask(ROTATE, id=webhook["id"], input={"secret": "mine", "overlapSeconds": 0}))["webhookRotateSecret"]
    assert given["secret"] == "mine"


@pytest.mark.parametrize("seconds", [-1, 604_801])
async def test_an_overlap_out_of_range_is_refused(ask: Client, seconds: int) -> None:
    webhook = (await create(ask))["webhook"]
    refused = (await ask(ROTATE, id=webhook["id"], input={"overlapSeconds": seconds}))["webhookRotateSecret"]
    assert refused["errors"] == [{"code": "OUT_OF_RANGE", "field": ["input", "overlapSeconds"]}]


async def test_a_test_sends_the_example_of_an_event_that_the_webhook_does_not_listen_to(ask: Client) -> None:
    webhook = (await create(ask, active=False))["webhook"]
    test = """
    mutation ($id: ID!) {
      webhookTest(id: $id, eventType: ACCOUNT_ADDED) {
        delivery { status event { type payload } webhook { id } waitingFor nextAttemptAt } errors { code }
      }
    }
    """
    delivery = (await ask(test, id=webhook["id"]))["webhookTest"]["delivery"]
    assert delivery["status"] == "PENDING"
    assert delivery["event"]["type"] == "ACCOUNT_ADDED"
    assert delivery["event"]["payload"]["event"] == "account.added"
    assert delivery["webhook"] == {"id": webhook["id"]}
    assert delivery["waitingFor"] == "QUEUED"


async def test_webhooks_are_filtered_by_state_event_and_words(ask: Client) -> None:
    await create(ask, name="Alpha 100%", events=["POST_PUBLISHED", "POST_DELETED"])
    await create(ask, name="Beta", callbackUrl="https://alpha.example/", active=False)
    names = "query ($f: WebhookFilter) { webhooks(filter: $f) { totalCount nodes { name } } }"

    async def found(**wanted: Any) -> list[str]:
        page = (await ask(names, f=wanted))["webhooks"]
        assert page["totalCount"] == len(page["nodes"])
        return [node["name"] for node in page["nodes"]]

    assert await found() == ["Beta", "Alpha 100%"]
    assert await found(active=True) == ["Alpha 100%"]
    assert await found(active=False) == ["Beta"]
    assert await found(eventType="POST_DELETED") == ["Alpha 100%"]
    assert await found(search="ALPHA") == ["Beta", "Alpha 100%"]
    assert await found(search="0%") == ["Alpha 100%"]
    assert await found(search="a_pha") == []
    assert await found(search="x" * 200) == []
    assert await found(search="alpha", active=True, eventType="POST_PUBLISHED") == ["Alpha 100%"]


@pytest.mark.parametrize("search", ["\0", "x" * 201])
async def test_a_search_that_cannot_be_is_refused(ask: Client, search: str) -> None:
    code, _ = await ask.refused("query ($s: String) { webhooks(filter: { search: $s }) { totalCount } }", s=search)
    assert code == "BAD_USER_INPUT"


async def test_stats_of_a_webhook_without_deliveries_are_zero(ask: Client) -> None:
    webhook = (await create(ask))["webhook"]
    stats = await ask(
        """
        query ($id: ID!) {
          webhook(id: $id) { stats { deliveries succeeded failed pending attempts successRate p50Ms } }
        }
        """,
        id=webhook["id"],
    )
    assert stats["webhook"]["stats"] == {
        "deliveries": 0, "succeeded": 0, "failed": 0, "pending": 0, "attempts": 0, "successRate": None, "p50Ms": None,
    }  # fmt: skip


async def test_what_the_system_switched_off_says_why(ask: Client) -> None:
    webhook = (await create(ask))["webhook"]
    row = await tables.Webhook.get(id=ids.key("Webhook", webhook["id"]))
    await tables.Webhook.filter(id=row.id).update(active=False, disabled_reason="gone", disabled_at=row.created_at)
    read = "query ($id: ID!) { webhook(id: $id) { active disabledReason disabledAt } }"
    told = (await ask(read, id=webhook["id"]))["webhook"]
    assert told == {"active": False, "disabledReason": "GONE", "disabledAt": webhook["createdAt"]}


@pytest.mark.parametrize("until", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
async def test_stats_up_to_the_ends_of_the_calendar_are_no_error(ask: Client, until: str) -> None:
    made = await create(ask)

    told = await ask(
        "query ($id: ID!, $until: DateTime!) { webhook(id: $id) { stats(until: $until) { deliveries } } }",
        id=made["webhook"]["id"],
        until=until,
    )

    assert told["webhook"]["stats"] == {"deliveries": 0}


@pytest.mark.parametrize("until", ["2030-01-31T00:00:00Z", "2030-01-30T23:59:59Z"])
async def test_a_span_of_stats_that_ends_before_it_begins_is_refused(ask: Client, until: str) -> None:
    query = "query ($t: DateTime!) { webhooks { nodes { stats(since: $t, until: UNTIL) { failed } } } }"
    await create(ask)
    refused = await ask.refused(query.replace("UNTIL", f'"{until}"'), t="2030-01-31T00:00:00Z")
    assert refused == ("BAD_USER_INPUT", "The end must be after the start.")
