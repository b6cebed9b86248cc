"""Accounts: connected, renamed, authorised again, disconnected; each with its event."""

import asyncio
from dataclasses import dataclass

import pytest

from domain import accounts, workspaces
from domain.accounts import AccountChanges, NewAccount
from domain.errors import FaultCode, Refused
from domain.providers import CLIENTS
from domain.providers.interface import (
    BadInput,
    Caller,
    CredentialsRefused,
    NewCredentials,
    Profile,
    ProviderFault,
    ProviderUnreachable,
)
from domain.providers.sandbox import Sandbox
from domain.tables import Account, AuditEvent, Event
from domain.unit import Actor, Domain
from domain.vocabulary import UNSET, EventType, Provider, Role, Unset
from tests.domain.doing import add_account, delivered_to, documents, faults_of, listen, names


async def update(
    domain: Domain, actor: Actor, account_id: int, name: str | Unset | None = UNSET, credential: str | Unset = UNSET
) -> Account:
    return await accounts.update(domain, actor, account_id, AccountChanges(name, credential))


async def delete(domain: Domain, actor: Actor, account_id: int) -> None:
    async with domain.unit(actor) as unit:
        await accounts.delete(unit, account_id)


def test_every_network_has_a_client() -> None:
    assert CLIENTS.keys() == set(Provider)


async def test_an_added_account_is_described_by_its_network_and_told_of(domain: Domain, admin: Actor) -> None:
    hook = await listen(domain, admin, EventType.ACCOUNT_ADDED)
    account = await add_account(domain, admin, "slow", " ann ")
    found = await Account.get(id=account.id)
    assert (found.name, found.username, found.provider_id) == ("ann", "ann", "ann@slow")
    assert (found.data["server"], found.authorized) == ("slow", True)
    [(name, data)] = await documents()
    assert (name, data["uuid"], data["provider"], data["authorized"]) == (
        "account.added",
        str(found.uuid),
        "sandbox",
        True,
    )
    assert await delivered_to(hook) == ["account.added"]


async def test_what_is_pasted_is_taken_as_bluesky_s_app_has_it_copied(domain: Domain, admin: Actor) -> None:
    account = await add_account(domain, admin, identifier=" \u202aann.bsky.social\u202c\n")
    assert account.username == "ann.bsky.social"
    account = await update(domain, admin, account.id, credential=" \u202afresh\u202c\n")
    assert accounts.opened_credentials(domain.vault, account) == {"credential": "fresh"}


async def test_no_credential_stands_in_the_database_in_clear(domain: Domain, admin: Actor) -> None:
    new = NewAccount(Provider.SANDBOX, "ok", "ann", "pl4nted", "Ann")
    account = await accounts.add(domain, admin, new)
    await update(domain, admin, account.id, credential="pl4nted-too")
    kept = [*await Account.all().values(), *await AuditEvent.all().values(), *await Event.all().values()]
    assert "pl4nted" not in repr(kept)
    assert "pl4nted" not in repr(new)
    found = await Account.get(id=account.id)
    assert accounts.opened_credentials(domain.vault, found) == {"credential": "pl4nted-too"}


@pytest.mark.parametrize(
    ("new", "fault"),
    [
        pytest.param(
            NewAccount(Provider.SANDBOX, "nowhere"), ("server", FaultCode.INVALID), id="no behaviour of the sandbox"
        ),
        pytest.param(
            NewAccount(Provider.SANDBOX, credential="wrong"),
            ("credential", FaultCode.UNAUTHORIZED_BY_PROVIDER),
            id="refused credential",
        ),
        pytest.param(NewAccount(Provider.SANDBOX, name=" "), ("name", FaultCode.REQUIRED), id="blank name"),
        pytest.param(NewAccount(Provider.SANDBOX, name="n" * 201), ("name", FaultCode.TOO_LONG), id="long name"),
        pytest.param(NewAccount(Provider.SANDBOX, identifier="a\x00"), ("identifier", FaultCode.INVALID), id="NUL"),
        pytest.param(
            NewAccount(Provider.SANDBOX, identifier="a\u202ab"), ("identifier", FaultCode.INVALID), id="turned around"
        ),
        pytest.param(NewAccount(Provider.SANDBOX, "\ud800"), ("server", FaultCode.INVALID), id="half a pair"),
        pytest.param(
            NewAccount(Provider.SANDBOX, identifier="i" * 201), ("identifier", FaultCode.TOO_LONG), id="long identifier"
        ),
    ],
)
async def test_what_cannot_be_is_refused(
    domain: Domain, admin: Actor, new: NewAccount, fault: tuple[str, FaultCode]
) -> None:
    with pytest.raises(Refused) as refused:
        await accounts.add(domain, admin, new)
    assert faults_of(refused) == {fault}
    assert not await Account.exists()
    assert await names() == []


@pytest.mark.parametrize(
    ("new", "fields"),
    [
        pytest.param(NewAccount(Provider.SANDBOX, "nowhere", name=""), {"server", "name"}, id="sandbox"),
        pytest.param(NewAccount(Provider.MASTODON, name="\u200b"), {"server", "credential", "name"}, id="mastodon"),
        pytest.param(NewAccount(Provider.BLUESKY, "two words"), {"server", "identifier", "credential"}, id="bluesky"),
        pytest.param(NewAccount(Provider.MASTODON, "x" * 2049), {"server", "credential"}, id="long server"),
        pytest.param(
            NewAccount(Provider.SANDBOX, "nowhere", identifier="i" * 201),
            {"server", "identifier"},
            id="long identifier",
        ),
    ],
)
async def test_all_that_is_wrong_is_told_at_once(
    domain: Domain, admin: Actor, new: NewAccount, fields: set[str]
) -> None:
    with pytest.raises(Refused) as refused:
        await accounts.add(domain, admin, new)
    assert sorted(field for field, _ in faults_of(refused)) == sorted(fields)


async def test_an_account_is_connected_once_though_asked_twice_at_once(domain: Domain, admin: Actor) -> None:
    results = await asyncio.gather(*(add_account(domain, admin, "ok", "ann") for _ in range(3)), return_exceptions=True)
    refusals = [result for result in results if isinstance(result, Refused)]
    assert [fault.code for refusal in refusals for fault in refusal.faults] == [FaultCode.TAKEN] * 2
    assert await names() == ["account.added"]


@pytest.mark.parametrize(("identifier", "field"), [("ann", "identifier"), (None, "credential")])
async def test_an_account_that_is_connected_already_is_told_of_at_what_said_whose_it_is(
    domain: Domain, admin: Actor, stranger: "Stranger", identifier: str | None, field: str
) -> None:
    await add_account(domain, admin)
    with pytest.raises(Refused) as refused:
        await add_account(domain, admin, identifier=identifier)
    assert faults_of(refused) == {(field, FaultCode.TAKEN)}


async def test_a_deleted_account_can_be_connected_again(domain: Domain, admin: Actor) -> None:
    first = await add_account(domain, admin, "ok", "ann")
    await delete(domain, admin, first.id)
    again = await add_account(domain, admin, "ok", "ann")
    assert again.id != first.id


async def test_renaming_tells_of_the_new_name(domain: Domain, admin: Actor) -> None:
    account = await add_account(domain, admin)
    await update(domain, admin, account.id, name=" Company ")
    name, data = (await documents())[-1]
    assert (name, data["name"]) == ("account.updated", "Company")


async def test_a_new_credential_mends_a_lost_authorization(domain: Domain, admin: Actor) -> None:
    account = await add_account(domain, admin)
    for _ in range(2):
        async with domain.unit(admin) as unit:
            await accounts.lose_authorization(unit, account)
    assert not (await Account.get(id=account.id)).authorized
    assert await names() == ["account.added", "account.unauthorized"]
    await update(domain, admin, account.id, name="Renamed")
    assert not (await Account.get(id=account.id)).authorized
    await update(domain, admin, account.id, credential="fresh")
    found = await Account.get(id=account.id)
    assert (found.authorized, found.name) == (True, "Renamed")


async def test_a_refused_new_credential_changes_nothing(domain: Domain, admin: Actor) -> None:
    account = await add_account(domain, admin)
    with pytest.raises(Refused) as refused:
        await update(domain, admin, account.id, name="x", credential="wrong")
    assert faults_of(refused) == {("credential", FaultCode.UNAUTHORIZED_BY_PROVIDER)}
    assert (await Account.get(id=account.id)).name == account.name
    assert await names() == ["account.added"]


async def test_what_changes_nothing_tells_nothing_and_null_is_a_fault(domain: Domain, admin: Actor) -> None:
    account = await add_account(domain, admin)
    before = await Account.get(id=account.id).values()
    await update(domain, admin, account.id)
    same = await update(domain, admin, account.id, name=f" {account.name} ")
    assert (same.id, same.name) == (account.id, account.name)
    assert await Account.get(id=account.id).values() == before
    assert not await AuditEvent.filter(action="account.update").exists()
    assert await names() == ["account.added"]
    with pytest.raises(Refused) as refused:
        await update(domain, admin, account.id, name=None)
    assert faults_of(refused) == {("name", FaultCode.REQUIRED)}


async def test_deleting_wipes_the_credentials_and_tells_of_the_uuid(domain: Domain, admin: Actor) -> None:
    account = await add_account(domain, admin)
    await delete(domain, admin, account.id)
    assert (await Account.get(id=account.id)).sealed_credentials is None
    assert (await documents())[-1] == ("account.deleted", {"uuid": str(account.uuid)})
    with pytest.raises(Refused):
        await delete(domain, admin, account.id)


async def test_another_workspace_s_account_does_not_exist(domain: Domain, admin: Actor) -> None:
    other = Actor(await workspaces.create("Other"), None, Role.ADMIN)
    theirs = await add_account(domain, other)
    for unknown in (theirs.id, 2**70, 0):
        with pytest.raises(Refused) as refused:
            await update(domain, admin, unknown, name="x")
        assert faults_of(refused) == {("id", FaultCode.NOT_FOUND)}
        with pytest.raises(Refused) as refused:
            await delete(domain, admin, unknown)
        assert faults_of(refused) == {("id", FaultCode.NOT_FOUND)}


async def test_a_workspace_has_a_limit_of_accounts(
    domain: Domain, admin: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "MOST_ACCOUNTS", 1)
    await add_account(domain, Actor(await workspaces.create("Other"), None, Role.ADMIN))
    await delete(domain, admin, (await add_account(domain, admin)).id)
    results = await asyncio.gather(*(add_account(domain, admin) for _ in range(3)), return_exceptions=True)
    refusals = [result for result in results if isinstance(result, Refused)]
    assert [fault.code for refusal in refusals for fault in refusal.faults] == [FaultCode.LIMIT_REACHED] * 2


@dataclass
class Stranger(Sandbox):
    """A network that answers with the profile or the fault that a test wants."""

    profile: Profile
    fault: ProviderFault | None = None

    async def check(self, caller: Caller, new: NewCredentials) -> Profile:
        if self.fault is not None:
            raise self.fault
        return self.profile


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> Stranger:
    """A network in place of the sandbox."""
    stranger = Stranger(Profile("id", "Name", "user", None, {}, {}))
    monkeypatch.setitem(CLIENTS, Provider.SANDBOX, stranger)
    return stranger


async def test_what_a_network_says_of_an_account_is_kept_as_far_as_it_can_be(
    domain: Domain, admin: Actor, stranger: Stranger
) -> None:
    data = {"server": "https://s\x00", "limit": 5}
    stranger.profile = Profile("id", "n\x00" + "n" * 900, "\ud800u", "https://i/" + "i" * 3000, data, {"token": "\x00"})
    found = await Account.get(id=(await add_account(domain, admin)).id)
    assert (found.name, found.username, found.image) == ("n" * 200, "u", None)
    assert found.data == {"server": "https://s", "limit": 5}
    assert accounts.opened_credentials(domain.vault, found) == {"token": "\x00"}


@pytest.mark.parametrize("provider_id", ["", "i" * 501, "a\x00"])
async def test_a_network_whose_id_cannot_be_kept_is_refused(
    domain: Domain, admin: Actor, stranger: Stranger, provider_id: str
) -> None:
    stranger.profile = Profile(provider_id, "Name", None, None, {}, {})
    with pytest.raises(Refused) as refused:
        await add_account(domain, admin)
    assert faults_of(refused) == {("server", FaultCode.PROVIDER_UNREACHABLE)}


async def test_a_credential_of_another_identity_is_refused(domain: Domain, admin: Actor, stranger: Stranger) -> None:
    account = await add_account(domain, admin)
    stranger.profile = Profile("someone else", "Name", None, None, {}, {})
    with pytest.raises(Refused) as refused:
        await update(domain, admin, account.id, credential="theirs")
    assert faults_of(refused) == {("credential", FaultCode.INVALID)}


@pytest.mark.parametrize(
    ("fault", "field"),
    [
        (CredentialsRefused(), "credential"),
        (BadInput("credential", "That is none."), "credential"),
        # An update has no field `server`, so no form could show the fault there.
        (BadInput("server", "Deliveries may not go there."), ""),
        (ProviderUnreachable(), ""),
    ],
)
async def test_a_fault_of_an_update_stands_at_a_field_of_the_update_or_at_none(
    domain: Domain, admin: Actor, stranger: Stranger, fault: ProviderFault, field: str
) -> None:
    account = await add_account(domain, admin)
    stranger.fault = fault
    with pytest.raises(Refused) as refused:
        await update(domain, admin, account.id, credential="fresh")
    assert {place for place, _ in faults_of(refused)} == {field}
