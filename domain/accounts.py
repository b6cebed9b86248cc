"""Accounts: the identities on social networks that a workspace publishes through."""

from dataclasses import dataclass, field

from domain.tables import Account
from domain.unit import Actor, Domain, Unit
from domain.vocabulary import UNSET, Provider, Unset


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What a person asks for."""

    provider: Provider
    server: str | None = None
    identifier: str | None = None
    credential: str | None = field(default=None, repr=False)
    name: str | None = None


@dataclass(frozen=True, slots=True)
class AccountChanges:
    """UNSET stays as it is; None is a fault."""

    name: str | None | Unset = UNSET
    credential: str | None | Unset = field(default=UNSET, repr=False)


# add and update talk to the network before they open their unit: no transaction waits for a stranger.
async def add(domain: Domain, actor: Actor, new: NewAccount) -> Account:
    raise NotImplementedError


async def update(domain: Domain, actor: Actor, account_id: int, changes: AccountChanges) -> Account:
    raise NotImplementedError


async def delete(unit: Unit, account_id: int) -> None:
    raise NotImplementedError
