from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import ids, tables
from tests.schema.conftest import Client
from tests.schema.test_accounts import add

POST = """
  id uuid status body scheduledAt publishedAt trashed createdAt updatedAt
  accounts { account { id } status providerPostId externalUrl errors } variants { account { id } body }
"""
CREATE = f"""
mutation ($input: PostCreateInput!) {{
  postCreate(input: $input) {{ post {{ {POST} }} errors {{ code field }} }}
}}
"""
UPDATE = f"""
mutation ($id: ID!, $input: PostUpdateInput!) {{
  postUpdate(id: $id, input: $input) {{ post {{ {POST} }} errors {{ code field }} }}
}}
"""
SCHEDULE = """
mutation ($id: ID!, $at: DateTime!) {
  postSchedule(id: $id, scheduledAt: $at) { post { status scheduledAt } errors { code field } }
}
"""
PUBLISH = "mutation ($id: ID!) { postPublish(id: $id) { post { status } errors { code field } } }"
DELETE = """
mutation ($ids: [ID!]!, $toTrash: Boolean) {
  postDelete(ids: $ids, toTrash: $toTrash) { deletedPostIds errors { code field } }
}
"""
TOMORROW = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0).isoformat().replace("+00:00", "Z")


@pytest.fixture
async def account(ask: Client) -> str:
    id_: str = (await add(ask))["account"]["id"]
    return id_


async def create(ask: Client, account: str, **more: Any) -> Any:
    made = (await ask(CREATE, input={"body": "Hello", "accountIds": [account], **more}))["postCreate"]
    assert made["errors"] == []
    return made["post"]


async def test_a_member_writes_a_draft_with_a_variant(member: Client, account: str) -> None:
    post = await create(member, account, variants=[{"accountId": account, "body": "Hi"}])
    assert (post["status"], post["body"], post["scheduledAt"], post["trashed"]) == ("DRAFT", "Hello", None, False)
    assert post["variants"] == [{"account": {"id": account}, "body": "Hi"}]
    assert post["accounts"] == [
        {"account": {"id": account}, "status": "PENDING", "providerPostId": None, "externalUrl": None, "errors": []}
    ]


async def test_a_post_is_scheduled_moved_and_made_a_draft_again(ask: Client, account: str) -> None:
    variants = [{"accountId": account, "body": "Hi"}]
    post = await create(ask, account, scheduledAt=TOMORROW, variants=variants)
    assert (post["status"], post["scheduledAt"]) == ("SCHEDULED", TOMORROW)
    later = TOMORROW.replace("Z", "+00:30")
    moved = (await ask(SCHEDULE, id=post["id"], at=later))["postSchedule"]
    assert moved["post"]["status"] == "SCHEDULED"
    assert moved["post"]["scheduledAt"] < TOMORROW
    kept = (await ask(UPDATE, id=post["id"], input={"body": "Hullo"}))["postUpdate"]["post"]
    assert (kept["status"], kept["body"], kept["scheduledAt"]) == ("SCHEDULED", "Hullo", moved["post"]["scheduledAt"])
    assert (kept["accounts"], kept["variants"]) == (post["accounts"], post["variants"])
    draft = (await ask(UPDATE, id=post["id"], input={"scheduledAt": None, "variants": None}))["postUpdate"]["post"]
    assert (draft["status"], draft["body"], draft["scheduledAt"], draft["variants"]) == ("DRAFT", "Hullo", None, [])


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        pytest.param({"body": " "}, "REQUIRED", ["input", "body"], id="no text"),
        pytest.param({"body": "x" * 501}, "TOO_LONG", ["input", "body"], id="too long for the network"),
        pytest.param({"body": "a\0"}, "INVALID", ["input", "body"], id="NUL"),
        pytest.param({"accountIds": ["junk"]}, "NOT_FOUND", ["input", "accountIds", "0"], id="an unknown account"),
        pytest.param({"scheduledAt": "2020-01-01T00:00:00Z"}, "OUT_OF_RANGE", ["input", "scheduledAt"], id="the past"),
        pytest.param(
            {"variants": [{"accountId": "junk", "body": "Hi"}]},
            "INVALID",
            ["input", "variants", "0", "accountId"],
            id="a variant for another account",
        ),
        pytest.param({"idempotencyKey": "x" * 1000}, "TOO_LONG", ["input", "idempotencyKey"], id="a long key"),
    ],
)
async def test_bad_posts_are_refused_and_nothing_is_stored(
    ask: Client, account: str, change: dict[str, Any], code: str, field: list[str]
) -> None:
    refused = (await ask(CREATE, input={"body": "Hello", "accountIds": [account], **change}))["postCreate"]
    assert refused == {"post": None, "errors": [{"code": code, "field": field}]}
    assert await tables.Post.all().count() == 0


async def test_the_same_idempotency_key_gives_the_same_post(ask: Client, account: str) -> None:
    first = await create(ask, account, idempotencyKey="once")
    assert (await create(ask, account, idempotencyKey="once"))["id"] == first["id"]


async def test_a_post_on_its_way_can_no_longer_be_changed(ask: Client, account: str) -> None:
    post = await create(ask, account)
    assert (await ask(PUBLISH, id=post["id"]))["postPublish"] == {"post": {"status": "PUBLISHING"}, "errors": []}
    wrong = [{"code": "WRONG_STATE", "field": ["id"]}]
    assert (await ask(UPDATE, id=post["id"], input={"body": "x"}))["postUpdate"] == {"post": None, "errors": wrong}
    assert (await ask(SCHEDULE, id=post["id"], at=TOMORROW))["postSchedule"]["errors"] == wrong
    assert (await ask(PUBLISH, id=post["id"]))["postPublish"]["errors"] == wrong


async def test_a_time_in_the_past_is_refused_where_it_stands(ask: Client, account: str) -> None:
    post = await create(ask, account)
    refused = (await ask(SCHEDULE, id=post["id"], at="2020-01-01T00:00:00Z"))["postSchedule"]
    assert refused == {"post": None, "errors": [{"code": "OUT_OF_RANGE", "field": ["scheduledAt"]}]}


async def test_posts_are_deleted_all_or_none(ask: Client, account: str) -> None:
    one, two = [(await create(ask, account))["id"] for _ in range(2)]
    refused = (await ask(DELETE, ids=[one, "junk", two]))["postDelete"]
    assert refused == {"deletedPostIds": [], "errors": [{"code": "NOT_FOUND", "field": ["ids", "1"]}]}
    trashed = (await ask(DELETE, ids=[one], toTrash=True))["postDelete"]
    assert trashed == {"deletedPostIds": [one], "errors": []}
    listed = "query ($t: Boolean) { posts(filter: { trashed: $t }) { nodes { id } } }"
    assert (await ask(listed, t=True))["posts"]["nodes"] == [{"id": one}]
    assert (await ask(listed, t=False))["posts"]["nodes"] == [{"id": two}]
    assert (await ask(DELETE, ids=[two, one, two]))["postDelete"]["deletedPostIds"] == [two, one]
    assert (await ask("{ posts { totalCount } }"))["posts"] == {"totalCount": 0}


async def test_posts_are_filtered(ask: Client, account: str) -> None:
    draft = (await create(ask, account))["id"]
    other = (await add(ask, identifier="bob"))["account"]["id"]
    scheduled = (await create(ask, other, scheduledAt=TOMORROW))["id"]

    async def found(**wanted: Any) -> list[str]:
        page = (await ask("query ($f: PostFilter) { posts(filter: $f) { totalCount nodes { id } } }", f=wanted))[
            "posts"
        ]
        assert page["totalCount"] == len(page["nodes"])
        return [node["id"] for node in page["nodes"]]

    assert await found() == [scheduled, draft]
    assert await found(statuses=["DRAFT"]) == [draft]
    assert await found(accountId=other) == [scheduled]
    assert await found(accountId="junk") == []
    assert await found(scheduledAfter=TOMORROW) == [scheduled]
    assert await found(scheduledBefore=TOMORROW) == []


async def test_a_text_is_measured_before_it_is_posted(viewer: Client, ask: Client, account: str) -> None:
    preview = """
    query ($id: ID!, $body: String!) { postPreview(body: $body, accountId: $id) { length limit links } }
    """
    measured = (await viewer(preview, id=account, body="See https://example.com/a now"))["postPreview"]
    assert measured["limit"] == 500
    assert measured["length"] > 0
    assert measured["links"] == ["https://example.com/a"]
    assert (await viewer.refused(preview, id=ids.make("Account", 999), body="x"))[0] == "BAD_USER_INPUT"


async def test_a_post_keeps_an_account_that_was_removed_and_says_so(ask: Client, account: str) -> None:
    post = await create(ask, account)
    await ask("mutation ($id: ID!) { accountDelete(id: $id) { deletedAccountId } }", id=account)
    read = "query ($id: ID!) { post(id: $id) { accounts { account { id deleted } } } }"
    assert (await ask(read, id=post["id"]))["post"]["accounts"] == [{"account": {"id": account, "deleted": True}}]
