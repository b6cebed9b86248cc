from datetime import UTC, datetime

from domain import workspaces
from tests.schema.conftest import Client

CREATE = """
mutation ($input: TokenCreateInput!) {
  tokenCreate(input: $input) {
    token { id name role prefix createdAt lastUsedAt expiresAt revokedAt } secret errors { code field }
  }
}
"""
REVOKE = "mutation ($id: ID!) { tokenRevoke(id: $id) { token { id revokedAt } errors { code field } } }"


async def test_a_token_opens_the_workspace_until_it_is_revoked(ask: Client) -> None:
    made = (await ask(CREATE, input={"name": "bot", "role": "MEMBER", "expiresAt": "2100-01-01T00:00:00Z"}))[
        "tokenCreate"
    ]
    assert made["errors"] == []
    assert made["secret"].startswith(made["token"]["prefix"])
    assert (made["token"]["role"], made["token"]["expiresAt"]) == ("MEMBER", "2100-01-01T00:00:00Z")
    actor = await workspaces.authenticate(made["secret"], datetime.now(UTC))
    assert actor.workspace.id == ask.actor.workspace.id
    revoked = (await ask(REVOKE, id=made["token"]["id"]))["tokenRevoke"]
    assert revoked["token"]["revokedAt"] is not None


async def test_bad_tokens_are_refused(ask: Client) -> None:
    refused = (await ask(CREATE, input={"name": "", "role": "VIEWER", "expiresAt": "2000-01-01T00:00:00Z"}))[
        "tokenCreate"
    ]
    assert (refused["token"], refused["secret"]) == (None, None)
    assert refused["errors"] == [
        {"code": "REQUIRED", "field": ["input", "name"]},
        {"code": "OUT_OF_RANGE", "field": ["input", "expiresAt"]},
    ]
    assert (await ask(REVOKE, id="junk"))["tokenRevoke"]["errors"] == [{"code": "NOT_FOUND", "field": ["id"]}]


async def test_a_workspace_lists_its_tokens(ask: Client, viewer: Client) -> None:
    document = "{ viewer { workspace { tokens(first: 1) { totalCount nodes { role } pageInfo { hasNextPage } } } } }"
    tokens = (await viewer(document))["viewer"]["workspace"]["tokens"]
    assert tokens == {"totalCount": 2, "nodes": [{"role": "VIEWER"}], "pageInfo": {"hasNextPage": True}}
