"""Servers with the Mastodon API: Mastodon, GoToSocial, snac and others. https://docs.joinmastodon.org/methods/statuses/

Not every server honours `Idempotency-Key`, and those that do forget it within the hour. So the account's newest
statuses are remembered before one is posted, and a later try searches what has come since for its own.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from domain.providers.answers import (
    AMBIGUOUS_WAIT,
    Reply,
    ask,
    failed_call,
    host_of,
    key,
    label,
    required,
    server_url,
    try_later,
    unreachable,
    web_address,
    with_words,
)
from domain.providers.interface import (
    BadInput,
    Caller,
    CredentialsRefused,
    NewCredentials,
    Profile,
    ProviderUnreachable,
    Publication,
    Published,
    PublishResult,
    Rejected,
    TextMeasure,
    TryLater,
    Unauthorized,
    refused,
)
from domain.providers.mastodon_text import count, linked, same_content, same_source
from domain.sender import CallFailed

# What Mastodon itself allows; a server's description may say otherwise.
DEFAULT_LIMIT: Final = 500
DEFAULT_PER_LINK: Final = 23
# A server's own claims are believed within these bounds.
HIGHEST_LIMIT: Final = 1_000_000
HIGHEST_PER_LINK: Final = 200
# How many of the newest statuses are remembered. If all of them were deleted meanwhile, a later try could take an older
# one with the same words for its own.
PAGE: Final = 20
# How far back a later try looks: through 60 statuses that came since the first try.
MOST_PAGES: Final = 3

# Mastodon answers 401, or 403 if the token lacks a scope or the account is suspended.
REFUSED: Final = frozenset({401, 403})
# snac answers 422 to a request that needs a token and has none that snac knows.
REFUSED_AT_CHECK: Final = REFUSED | {422}


class Mastodon:
    """A server with the Mastodon API. Stateless."""

    def faults_of(self, new: NewCredentials) -> list[BadInput]:
        """An invalid server, and a missing token."""
        return refused(lambda: server_url(new.server), lambda: _token(new))

    async def check(self, caller: Caller, new: NewCredentials) -> Profile:
        """Ask the server whose access token this is, and how long a status may be."""
        server, token = server_url(new.server), _token(new)
        home = _Home(caller, server, token)
        try:
            account = _account_of(await home.get("/api/v1/accounts/verify_credentials"), home.host)
            limits = await _limits(home)
            _check_readable(await home.get(_statuses_of(account["id"], 1)), home.host)
        except CallFailed as failure:
            raise unreachable(failure, home.host) from None
        username = label(account.get("username")) or account["id"]
        return Profile(
            provider_id=f"{account['id']}@{home.host}",
            name=label(account.get("display_name")) or username,
            username=username,
            image=web_address(account.get("avatar")),
            data={"server": server, "url": web_address(account.get("url")), **limits},
            credentials={"server": server, "token": token},
        )

    def measure(self, text: str, account_data: dict[str, Any]) -> TextMeasure:
        """Characters as Mastodon counts them: a link as many as the server says, a mention without its domain."""
        per_link = account_data.get("characters_per_link", DEFAULT_PER_LINK)
        limit = account_data.get("max_characters", DEFAULT_LIMIT)
        return TextMeasure(count(text, per_link), limit, linked(text))

    async def publish(self, caller: Caller, publication: Publication) -> PublishResult:
        """Post a status, unless an earlier try already has."""
        credentials = publication.account.credentials
        home = _Home(caller, credentials["server"], credentials["token"])
        try:
            return await _publish_once(home, publication)
        except CallFailed as failure:
            return failed_call(failure, home.host)


def _token(new: NewCredentials) -> str:
    return required(new.credential, "credential", "Give the account's access token.")


@dataclass(frozen=True, slots=True)
class _Home:
    """A server, and a token for it."""

    caller: Caller
    server: str
    token: str

    @property
    def host(self) -> str:
        return host_of(self.server)

    async def get(self, path: str) -> Reply:
        return await ask(self.caller, "GET", f"{self.server}{path}", token=self.token)

    async def post(self, path: str, body: Any, idempotency_key: str) -> Reply:
        headers = {"Idempotency-Key": idempotency_key}
        return await ask(self.caller, "POST", f"{self.server}{path}", token=self.token, headers=headers, body=body)


def _account_of(reply: Reply, host: str) -> dict[str, Any]:
    if reply.status in REFUSED_AT_CHECK and not reply.strange:
        raise CredentialsRefused(with_words(f"{host} refused this access token", reply))
    _check_answers(reply, host)
    if key(reply.at("id")) is None:
        raise ProviderUnreachable(f"{host} does not answer as a server with the Mastodon API.")
    account: dict[str, Any] = reply.document
    return account


def _check_answers(reply: Reply, host: str) -> None:
    if reply.temporary:
        raise ProviderUnreachable(f"{host} is not working just now (status {reply.status}).")
    if not reply.ok:
        raise ProviderUnreachable(f"{host} does not answer as a server with the Mastodon API (status {reply.status}).")


def _check_readable(reply: Reply, host: str) -> None:
    """A token must be able to read: otherwise a later try could not tell whether an earlier one has posted."""
    if reply.status in REFUSED_AT_CHECK and not reply.strange:
        raise CredentialsRefused(f"{host} does not let this token read statuses: give it the scope read:statuses too.")
    _check_answers(reply, host)


async def _limits(home: _Home) -> dict[str, int]:
    """Servers before Mastodon 4, and snac still, describe themselves in v1; a missing limit is Mastodon's default."""
    reply = await home.get("/api/v2/instance")
    if not reply.ok and not reply.temporary:
        reply = await home.get("/api/v1/instance")
    if reply.temporary:
        raise ProviderUnreachable(f"{home.host} is not working just now (status {reply.status}).")
    statuses = ("configuration", "statuses")
    # Pleroma and its kin call it max_toot_chars.
    longest = reply.at(*statuses, "max_characters") or reply.at("max_toot_chars")
    per_link = reply.at(*statuses, "characters_reserved_per_url")
    return {
        "max_characters": _bounded(longest, DEFAULT_LIMIT, HIGHEST_LIMIT),
        "characters_per_link": _bounded(per_link, DEFAULT_PER_LINK, HIGHEST_PER_LINK),
    }


def _bounded(value: Any, default: int, highest: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= highest else default


async def _publish_once(home: _Home, publication: Publication) -> PublishResult:
    if found := await _look(home, publication):
        return found
    reply = await home.post("/api/v1/statuses", {"status": publication.text}, publication.key)
    return _result(reply, home.host, publication.now)


async def _look(home: _Home, publication: Publication) -> PublishResult | None:
    """What an earlier try has posted; None if there is nothing. The first try remembers which statuses are there."""
    account_id = publication.account.provider_id.rpartition("@")[0]
    newest = await _statuses(home, account_id, publication.now)
    if not isinstance(newest, list):
        return newest
    seen = publication.progress.get("seen")
    if seen is not None:
        return await _find(home, account_id, newest, set(seen), publication)
    await publication.remember({**publication.progress, "seen": [status["id"] for status in newest[:PAGE]]})
    return None


def _statuses_of(account_id: str, limit: int, before: str | None = None) -> str:
    older = "" if before is None else f"&max_id={quote(before, safe='')}"
    return f"/api/v1/accounts/{quote(account_id, safe='')}/statuses?limit={limit}&exclude_reblogs=true{older}"


async def _statuses(
    home: _Home, account_id: str, now: datetime, before: str | None = None
) -> list[dict[str, Any]] | TryLater | Unauthorized:
    """The account's statuses, newest first."""
    reply = await home.get(_statuses_of(account_id, PAGE, before))
    if reply.temporary or reply.strange:
        return try_later(reply, now, home.host)
    if reply.status in REFUSED:
        return Unauthorized(with_words(f"{home.host} refused the access token", reply))
    if not reply.ok or not isinstance(reply.document, list):
        return TryLater(AMBIGUOUS_WAIT, f"{home.host} does not tell what the account has posted.")
    return [each for each in reply.document if isinstance(each, dict) and key(each.get("id"))]


async def _find(
    home: _Home, account_id: str, page: list[dict[str, Any]], seen: set[str], publication: Publication
) -> PublishResult | None:
    """What an earlier try has posted, if it has."""
    looked_at, pages = set(seen), 1
    while True:
        new = [status for status in _since(page, seen) if status["id"] not in looked_at]
        for status in new:
            ours = await _is_ours(home, status, publication)
            if isinstance(ours, TryLater):
                return ours
            if ours:
                return _published(status)
        # A page is the last if it reaches what was there before, or repeats itself (snac has no pages).
        if not new or pages == MOST_PAGES or any(status["id"] in seen for status in page):
            return None
        looked_at.update(status["id"] for status in new)
        older = await _statuses(home, account_id, publication.now, before=page[-1]["id"])
        if not isinstance(older, list):
            return older
        page, pages = older, pages + 1


def _since(page: list[dict[str, Any]], seen: set[str]) -> list[dict[str, Any]]:
    """The statuses above the lowest one that was there before: if one was deleted, an older one moves onto the page."""
    known = [index for index, status in enumerate(page) if status["id"] in seen]
    return page[: known[-1]] if known else page


async def _is_ours(home: _Home, status: dict[str, Any], publication: Publication) -> bool | TryLater:
    # A status's plain source is exact; a server that does not give it still shows the HTML.
    reply = await home.get(f"/api/v1/statuses/{quote(status['id'], safe='')}/source")
    if reply.temporary:
        return try_later(reply, publication.now, home.host)
    if reply.ok and isinstance(reply.at("text"), str):
        return same_source(reply.text("text"), publication.text)
    return same_content(str(status.get("content") or ""), publication.text)


def _result(reply: Reply, host: str, now: datetime) -> PublishResult:
    if reply.ok and key(reply.at("id")):
        return _published(reply.document)
    if reply.ok:
        return TryLater(AMBIGUOUS_WAIT, f"{host} did not say what became of the status.")
    if reply.temporary or reply.strange:
        return try_later(reply, now, host)
    if reply.status in REFUSED:
        return Unauthorized(with_words(f"{host} refused the access token", reply))
    return Rejected(with_words(f"{host} refused the status ({reply.status})", reply))


def _published(status: dict[str, Any]) -> Published:
    return Published(status["id"], web_address(status.get("url")) or web_address(status.get("uri")))
