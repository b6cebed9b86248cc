"""Accounts: the identities on social networks that a workspace publishes through."""

import json
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, NoReturn

from tortoise.exceptions import IntegrityError

from domain import audit, events, payloads, providers
from domain.errors import Fault, FaultCode, Faults, Refused, not_found
from domain.ids import is_key
from domain.payloads import AccountRecord
from domain.providers.interface import (
    BadInput,
    CredentialsRefused,
    NewCredentials,
    Profile,
    ProviderFault,
    ProviderUnreachable,
)
from domain.reading import read
from domain.tables import Account, Workspace
from domain.texts import check_text, cleaned
from domain.unit import Actor, Domain, Unit
from domain.vault import Vault
from domain.vocabulary import UNSET, EventType, Provider, Unset

LONGEST_NAME = 200
LONGEST = {"server": 2048, "identifier": 200, "credential": 2048}
# What the columns of an account hold.
LONGEST_TEXT = 500
LONGEST_URL = 2048
MOST_ACCOUNTS = 500


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What a person asks for. Without a name, the account gets the name that it has on its network."""

    provider: Provider
    server: str | None = None
    identifier: str | None = None
    credential: str | None = field(default=None, repr=False)
    name: str | None = None


@dataclass(frozen=True, slots=True)
class AccountChanges:
    """What to change. UNSET leaves a field as it is; None is a fault."""

    name: str | Unset | None = UNSET
    credential: str | Unset | None = field(default=UNSET, repr=False)


async def add(domain: Domain, actor: Actor, new: NewAccount) -> Account:
    """Connect an account once its network has accepted the credentials; account.added.

    The network is asked before the unit opens: no transaction waits for a stranger. Raises Refused.
    """
    faults = Faults()
    given = {name: _stripped(getattr(new, name) or "") or None for name in LONGEST}
    for name, value in given.items():
        if value is not None:
            check_text(faults, value, name, longest=LONGEST[name], what=f"The {name}", required=False)
    credentials = NewCredentials(**given)
    for fault in providers.client_for(new.provider).faults_of(credentials):
        if not faults.has(fault.field):
            faults.add(fault.code, str(fault), fault.field)
    if new.name is not None:
        check_text(faults, new.name, "name", longest=LONGEST_NAME, what="The name")
    faults.raise_if_any()
    profile = await _checked(domain, new.provider, credentials)
    async with domain.unit(actor) as unit:
        await _check_room(unit)
        account = Account(workspace_id=actor.workspace.id, provider=new.provider)
        _describe(domain.vault, account, profile)
        account.name = new.name.strip() if new.name else cleaned(profile.name, LONGEST_NAME).strip() or "?"
        # With Mastodon the token alone says whose the account is, so no other field can be at fault.
        await _save_once(account, "identifier" if credentials.identifier else "credential")
        note = audit.note(unit, "account.add", account, name=account.name, provider=account.provider.value)
        await events.record(unit, EventType.ACCOUNT_ADDED, payloads.account_data(record_of(account)), note)
    return account


async def update(domain: Domain, actor: Actor, account_id: int, changes: AccountChanges) -> Account:
    """Rename an account, or authorise it again with a new credential of the same identity; account.updated.

    Setting the name that it already has changes nothing. Raises Refused.
    """
    if isinstance(changes.credential, str):
        changes = replace(changes, credential=_stripped(changes.credential))
    _check_changes(changes)
    profile = None
    if isinstance(changes.credential, str):
        found = await _find(actor.workspace, account_id)
        profile = await _checked_again(domain, found, changes.credential)
    async with domain.unit(actor) as unit:
        renamed = await _renamed(unit, account_id, changes.name.strip()) if isinstance(changes.name, str) else None
        account = renamed or await _locked(unit, account_id)
        if profile is not None:
            _describe(domain.vault, account, profile)
            await account.save(update_fields=_DESCRIBED)
        if profile is not None or renamed is not None:
            note = audit.note(unit, "account.update", account, name=account.name, reauthorized=profile is not None)
            await events.record(unit, EventType.ACCOUNT_UPDATED, payloads.account_data(record_of(account)), note)
    return account


async def delete(unit: Unit, account_id: int) -> None:
    """Disconnect an account and wipe its credentials; account.deleted. Waiting posts fail on this account only.

    Raises Refused (NOT_FOUND).
    """
    account = await _locked(unit, account_id)
    account.deleted_at = datetime.now(UTC)
    account.sealed_credentials = None
    await account.save()
    note = audit.note(unit, "account.delete", account, name=account.name)
    await events.record(unit, EventType.ACCOUNT_DELETED, payloads.account_deleted_data(account.uuid), note)


async def lose_authorization(unit: Unit, tried: Account) -> bool:
    """Note that the network refused the credentials an account was tried with; account.unauthorized, once.

    Returns False if the account has newer ones by now, or was deleted: then the refusal says nothing about it.
    """
    same = Account.filter(id=tried.id, sealed_credentials=tried.sealed_credentials, deleted_at=None)
    account = await same.select_for_update(no_key=True).first()
    if account is None:
        return False
    if not account.authorized:
        return True
    account.authorized = False
    await account.save(update_fields=["authorized", "updated_at"])
    note = audit.note(unit, "account.lose_authorization", account, name=account.name)
    await events.record(unit, EventType.ACCOUNT_UNAUTHORIZED, payloads.account_data(record_of(account)), note)
    return True


def record_of(account: Account) -> AccountRecord:
    """The account as payloads show it."""
    return AccountRecord(
        id=account.id,
        uuid=account.uuid,
        name=account.name,
        username=account.username,
        image=account.image,
        provider=account.provider,
        data=account.data,
        authorized=account.authorized,
        created_at=account.created_at,
    )


def seal_credentials(vault: Vault, account: Account, credentials: dict[str, Any]) -> bytes:
    """What the network needs to publish, sealed for storage."""
    plain = json.dumps(credentials)
    return vault.seal(plain, workspace_id=account.workspace_id, row=str(account.uuid), field="sealed_credentials")


def opened_credentials(vault: Vault, account: Account) -> dict[str, Any]:
    """What the network needs to publish; {} once the account is deleted. Raises CannotOpen."""
    if account.sealed_credentials is None:
        return {}
    sealed, place = account.sealed_credentials, account.workspace_id
    plain = vault.open(sealed, workspace_id=place, row=str(account.uuid), field="sealed_credentials")
    credentials: dict[str, Any] = json.loads(plain)
    return credentials


async def _find(workspace: Workspace, account_id: int) -> Account:
    mine = Account.filter(workspace_id=workspace.id, id=account_id, deleted_at=None)
    found = await mine.first() if is_key(account_id) else None
    return found or not_found("account")


async def _locked(unit: Unit, account_id: int) -> Account:
    """The account, locked until the unit ends. Raises Refused (NOT_FOUND)."""
    found = await read(Account, _LOCK, unit.workspace.id, account_id) if is_key(account_id) else []
    return found[0] if found else not_found("account")


async def _renamed(unit: Unit, account_id: int, name: str) -> Account | None:
    """The account with its new name, locked until the unit ends; None if it has that name already, or is not there."""
    found = await read(Account, _RENAME, unit.workspace.id, account_id, name) if is_key(account_id) else []
    return found[0] if found else None


_LOCK = "SELECT * FROM account WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL FOR NO KEY UPDATE"
_RENAME = """
UPDATE account SET name = $3, updated_at = now()
WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL AND name <> $3 RETURNING *
"""


def _check_changes(changes: AccountChanges) -> None:
    faults = Faults()
    for name in ("name", "credential"):
        if getattr(changes, name) is None:
            faults.add(FaultCode.REQUIRED, "Leave it out, or give it a value.", name)
    if isinstance(changes.name, str):
        check_text(faults, changes.name, "name", longest=LONGEST_NAME, what="The name")
    if isinstance(changes.credential, str):
        check_text(faults, changes.credential, "credential", longest=LONGEST["credential"], what="The credential")
    faults.raise_if_any()


async def _check_room(unit: Unit) -> None:
    # Others that add an account to this workspace at the same time wait here, so that the count holds.
    await Workspace.filter(id=unit.workspace.id).select_for_update(no_key=True)
    if await Account.filter(workspace_id=unit.workspace.id, deleted_at=None).count() >= MOST_ACCOUNTS:
        raise Refused(Fault(FaultCode.LIMIT_REACHED, f"A workspace may have {MOST_ACCOUNTS:,} accounts."))


async def _checked(
    domain: Domain, provider: Provider, credentials: NewCredentials, asked_for: Collection[str] = tuple(LONGEST)
) -> Profile:
    """What the network says about these credentials. Raises Refused, which names only a field that is `asked_for`."""
    try:
        profile = await providers.client_for(provider).check(domain.sender, credentials)
        if not profile.provider_id or profile.provider_id != cleaned(profile.provider_id, LONGEST_TEXT):
            raise ProviderUnreachable("The network's answer could not be understood. Trying again may help.")
    except ProviderFault as fault:
        _refuse(fault, asked_for)
    return profile


async def _checked_again(domain: Domain, account: Account, credential: str) -> Profile:
    credentials = NewCredentials(account.data.get("server"), account.username, credential, account.provider_id)
    profile = await _checked(domain, account.provider, credentials, ("credential",))
    if profile.provider_id != account.provider_id:
        message = "This credential belongs to another account; add that one instead."
        raise Refused(Fault(FaultCode.INVALID, message, ("credential",)))
    return profile


def _refuse(fault: ProviderFault, asked_for: Collection[str]) -> NoReturn:
    match fault:
        case BadInput():
            code, field = fault.code, fault.field
        case CredentialsRefused():
            code, field = FaultCode.UNAUTHORIZED_BY_PROVIDER, "credential"
        case ProviderUnreachable():
            code, field = FaultCode.PROVIDER_UNREACHABLE, "server"
        case _:
            raise fault
    raise Refused(Fault(code, str(fault), (field,) if field in asked_for else ())) from None


_DESCRIBED = ("provider_id", "username", "image", "data", "authorized", "sealed_credentials", "updated_at")


def _describe(vault: Vault, account: Account, profile: Profile) -> None:
    """Take over what the network says about the account, as far as it can be stored."""
    image = profile.image or ""
    account.provider_id = profile.provider_id
    account.username = cleaned(profile.username, LONGEST_TEXT) if profile.username else None
    account.image = image if image and image == cleaned(image, LONGEST_URL) else None
    account.data = {
        name: cleaned(value, LONGEST_URL) if isinstance(value, str) else value for name, value in profile.data.items()
    }
    account.authorized = True
    account.sealed_credentials = seal_credentials(vault, account, profile.credentials)


async def _save_once(account: Account, says_whose: str) -> None:
    try:
        await account.save()
    except IntegrityError:
        message = "This account is connected already."
        raise Refused(Fault(FaultCode.TAKEN, message, (says_whose,))) from None


def _stripped(value: str) -> str:
    # Bluesky's app puts U+202A and U+202C around handles, and people copy them along:
    # https://github.com/bluesky-social/social-app/issues/8451
    return value.strip().strip("\u202a\u202c").strip()
