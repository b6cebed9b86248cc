import pytest

from domain import tables
from tests.schema.conftest import Client

WEBHOOK = '{ name: "x", callbackUrl: "https://crm.example/", events: [POST_CREATED] }'
FOR_ADMINS = {
    "webhookCreate": f"webhookCreate(input: {WEBHOOK}) {{ errors {{ code }} }}",
    "webhookUpdate": 'webhookUpdate(id: "x", input: {}) { errors { code } }',
    "webhookDelete": 'webhookDelete(id: "x") { errors { code } }',
    "webhookRotateSecret": 'webhookRotateSecret(id: "x") { errors { code } }',
    "webhookTest": 'webhookTest(id: "x", eventType: POST_CREATED) { errors { code } }',
    "deliveryRetry": 'deliveryRetry(id: "x") { errors { code } }',
    "deliveryCancel": 'deliveryCancel(id: "x") { errors { code } }',
    "deliveriesReplay": (
        'deliveriesReplay(input: { webhookId: "x", since: "2026-01-01T00:00:00Z" }) { errors { code } }'
    ),
    "tokenCreate": 'tokenCreate(input: { name: "x", role: ADMIN }) { errors { code } }',
    "tokenRevoke": 'tokenRevoke(id: "x") { errors { code } }',
}
FOR_MEMBERS = {
    "accountAdd": "accountAdd(input: { provider: SANDBOX }) { errors { code } }",
    "accountUpdate": 'accountUpdate(id: "x", input: {}) { errors { code } }',
    "accountDelete": 'accountDelete(id: "x") { errors { code } }',
    "postCreate": 'postCreate(input: { body: "x", accountIds: [] }) { errors { code } }',
    "postUpdate": 'postUpdate(id: "x", input: {}) { errors { code } }',
    "postSchedule": 'postSchedule(id: "x", scheduledAt: "2100-01-01T00:00:00Z") { errors { code } }',
    "postPublish": 'postPublish(id: "x") { errors { code } }',
    "postDelete": 'postDelete(ids: ["x"]) { errors { code } }',
}


@pytest.mark.parametrize("name", FOR_ADMINS)
async def test_only_admins_may(member: Client, viewer: Client, ask: Client, name: str) -> None:
    document = f"mutation {{ {FOR_ADMINS[name]} }}"
    assert (await member.refused(document))[0] == "FORBIDDEN"
    assert (await viewer.refused(document))[0] == "FORBIDDEN"
    assert await tables.Webhook.all().count() == 0
    assert name in await ask(document)


@pytest.mark.parametrize("name", FOR_MEMBERS)
async def test_members_may_and_viewers_may_not(member: Client, viewer: Client, name: str) -> None:
    document = f"mutation {{ {FOR_MEMBERS[name]} }}"
    assert (await viewer.refused(document))[0] == "FORBIDDEN"
    assert await tables.Account.all().count() + await tables.Post.all().count() == 0
    assert name in await member(document)


async def test_everybody_may_read(viewer: Client) -> None:
    lists = ["webhooks", "deliveries", "events", "accounts", "posts"]
    await viewer(
        "{ " + " ".join(f"{name} {{ totalCount }}" for name in lists) + " eventTypes { type } viewer { token { id } } }"
    )
