"""What a post must satisfy when it is written: its accounts exist, and each of them can carry its text."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain import providers
from domain.errors import FaultCode, Faults, not_found
from domain.ids import is_key
from domain.providers.interface import TextMeasure
from domain.tables import Account, Workspace
from domain.texts import check_text

# More than any network takes; each account's own limit is checked as well.
LONGEST_BODY = 20_000
MOST_ACCOUNTS = 50
# Characters of a post and all its variants together. Each change sends the whole post to webhooks and the live stream.
LONGEST_TEXTS = 50_000
FURTHEST_AHEAD = timedelta(days=5 * 365)


@dataclass(frozen=True, slots=True)
class Content:
    """What a post says, and on which accounts; `variants` are pairs of account id and text."""

    body: str
    account_ids: tuple[int, ...]
    variants: tuple[tuple[int, str], ...]

    @property
    def length(self) -> int:
        """How many characters all its texts have together."""
        return len(self.body) + sum(len(text) for _, text in self.variants)

    def differs_from(self, other: "Content") -> bool:
        """Whether the texts or the accounts differ; the order of accounts does not matter."""
        places = {*self.account_ids} != {*other.account_ids} or {*self.variants} != {*other.variants}
        return places or self.body != other.body


async def preview(workspace: Workspace, body: str, account_id: int) -> TextMeasure:
    """How an account's network would count a text, what it allows, and what it would link. Raises Refused."""
    faults = Faults()
    check_text(faults, body, "body", longest=LONGEST_BODY, what="The text", required=False, lines=True)
    faults.raise_if_any()
    mine = Account.filter(workspace_id=workspace.id, id=account_id, deleted_at=None)
    account = await mine.first() if is_key(account_id) else None
    if account is None:
        not_found("account", "account_id")
    return providers.client_for(account.provider).measure(body, account.data)


async def check_content(
    faults: Faults, workspace: Workspace, content: Content, kept: Collection[int] = ()
) -> list[Account]:
    """Note all that is wrong; returns the accounts that were found, in the order given, each once.

    `kept` are the ids of accounts that the post already has: these may have been deleted since.
    """
    check_text(faults, content.body, "body", longest=LONGEST_BODY, what="The text", lines=True)
    most = f"A post may go to at most {MOST_ACCOUNTS} accounts"
    if len(content.account_ids) > MOST_ACCOUNTS:
        faults.add(FaultCode.LIMIT_REACHED, f"{most}.", "account_ids")
    if len(content.variants) > MOST_ACCOUNTS:
        faults.add(FaultCode.LIMIT_REACHED, f"{most}, and have one variant for each.", "variants")
    if content.variants and content.length > LONGEST_TEXTS:
        message = f"A post and its variants may have at most {LONGEST_TEXTS:,} characters together."
        faults.add(FaultCode.TOO_LONG, message, "variants")
    if max(len(content.account_ids), len(content.variants)) > MOST_ACCOUNTS:
        return []
    found = await _accounts(workspace, content.account_ids)
    for index, account_id in enumerate(content.account_ids):
        account = found.get(account_id)
        if account is None or (account.deleted_at is not None and account_id not in kept):
            faults.add(FaultCode.NOT_FOUND, "There is no such account.", "account_ids", str(index))
    _check_places(faults, content)
    if content.length > LONGEST_TEXTS:
        return []  # noted already, and checking each of its texts takes time
    for index, (_, text) in enumerate(content.variants):
        check_text(faults, text, "variants", str(index), "body", longest=LONGEST_BODY, what="The text", lines=True)
    accounts = [found[account_id] for account_id in dict.fromkeys(content.account_ids) if account_id in found]
    for account in accounts:
        _check_length(faults, content, account)
    return accounts


def check_time(faults: Faults, scheduled_at: datetime, now: datetime) -> None:
    """Note a time that is not ahead, or more than five years ahead."""
    if scheduled_at <= now:
        faults.add(FaultCode.OUT_OF_RANGE, "This time has passed. Choose a time in the future.", "scheduled_at")
    elif scheduled_at > now + FURTHEST_AHEAD:
        faults.add(FaultCode.OUT_OF_RANGE, "A post can be scheduled at most five years ahead.", "scheduled_at")


async def _accounts(workspace: Workspace, account_ids: Collection[int]) -> dict[int, Account]:
    wanted = [account_id for account_id in account_ids if is_key(account_id)]
    if not wanted:
        return {}
    return {account.id: account for account in await Account.filter(workspace_id=workspace.id, id__in=wanted)}


def _check_places(faults: Faults, content: Content) -> None:
    seen = set()
    for index, (account_id, _) in enumerate(content.variants):
        place = ("variants", str(index), "account_id")
        if account_id not in content.account_ids:
            faults.add(FaultCode.INVALID, "A variant is for one of the accounts that the post goes to.", *place)
        elif account_id in seen:
            faults.add(FaultCode.TAKEN, "There is another variant for this account.", *place)
        seen.add(account_id)


def _check_length(faults: Faults, content: Content, account: Account) -> None:
    variants = {account_id: (str(index), body) for index, (account_id, body) in enumerate(content.variants)}
    index, text = variants.get(account.id, (None, content.body))
    if len(text) > LONGEST_BODY:
        return  # noted already, and counting takes time
    measure = providers.client_for(account.provider).measure(text, account.data)
    if not measure.fits:
        where = ("body",) if index is None else ("variants", index, "body")
        message = (
            f"{account.name} ({account.provider.value.capitalize()}) takes at most {measure.limit:,} {measure.unit}; "
            f"this text has {measure.length:,}."
        )
        faults.add(FaultCode.TOO_LONG, message, *where)
