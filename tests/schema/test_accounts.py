from typing import Any

import pytest

from domain import tables
from tests.schema.conftest import Client

ADD = """
mutation ($input: AccountAddInput!) {
  accountAdd(input: $input) {
    account { id uuid provider providerId name username image data authorized createdAt updatedAt }
    errors { code field message }
  }
}
"""
UPDATE = """
mutation ($id: ID!, $input: AccountUpdateInput!) {
  accountUpdate(id: $id, input: $input) { account { name } errors { code field } }
}
"""
DELETE = "mutation ($id: ID!) { accountDelete(id: $id) { deletedAccountId errors { code field } } }"


async def add(ask: Client, **fields: Any) -> Any:
    return (await ask(ADD, input={"provider": "SANDBOX", "identifier": "ada", **fields}))["accountAdd"]


async def test_a_member_adds_renames_and_removes_an_account(member: Client) -> None:
    account = (await add(member, name="Bakery"))["account"]
    assert (account["provider"], account["name"], account["authorized"]) == ("SANDBOX", "Bakery", True)
    renamed = (await member(UPDATE, id=account["id"], input={"name": "Mill"}))["accountUpdate"]
    assert renamed == {"account": {"name": "Mill"}, "errors": []}
    unchanged = (await member(UPDATE, id=account["id"], input={}))["accountUpdate"]
    assert unchanged == {"account": {"name": "Mill"}, "errors": []}
    assert (await member(DELETE, id=account["id"]))["accountDelete"]["deletedAccountId"] == account["id"]
    read = "query ($id: ID!) { account(id: $id) { id } node(id: $id) { id } accounts { totalCount } }"
    assert await member(read, id=account["id"]) == {"account": None, "node": None, "accounts": {"totalCount": 0}}


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        pytest.param({"name": ""}, "REQUIRED", ["input", "name"], id="an empty name"),
        pytest.param({"name": "a\0b"}, "INVALID", ["input", "name"], id="NUL"),
        pytest.param({"server": "nonsense"}, "INVALID", ["input", "server"], id="an unknown behaviour"),
        pytest.param(
            {"credential": "wrong"}, "UNAUTHORIZED_BY_PROVIDER", ["input", "credential"], id="bad credentials"
        ),
    ],
)
async def test_bad_accounts_are_refused_and_nothing_is_stored(
    ask: Client, change: dict[str, Any], code: str, field: list[str]
) -> None:
    refused = await add(ask, **change)
    assert refused["account"] is None
    assert [(error["code"], error["field"]) for error in refused["errors"]] == [(code, field)]
    assert await tables.Account.all().count() == 0


async def test_null_is_a_fault_in_an_update(ask: Client) -> None:
    account = (await add(ask))["account"]
    refused = (await ask(UPDATE, id=account["id"], input={"name": None}))["accountUpdate"]
    assert refused == {"account": None, "errors": [{"code": "REQUIRED", "field": ["input", "name"]}]}


async def test_the_same_account_cannot_be_added_twice(ask: Client) -> None:
    await add(ask)
    assert [error["code"] for error in (await add(ask))["errors"]] == ["TAKEN"]


async def test_a_credential_is_never_shown(ask: Client) -> None:
    assert "planted" not in str(await add(ask, credential="planted"))
