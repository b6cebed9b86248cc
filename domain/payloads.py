"""The documents that receivers get (compatible with Mixpost). Pure: plain records in, plain JSON values out.

`catalogue` describes their shape, for people and for machines; a test holds the two together.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from domain.vocabulary import EventType, PostStatus, Provider

# Mixpost's account number for the text of every account that has no variant of its own.
ORIGINAL = 0


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """An account as it was when the event happened. `data` is a JSON object."""

    id: int
    uuid: UUID
    name: str
    username: str | None
    image: str | None
    provider: Provider
    data: dict[str, Any]
    authorized: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class PostAccountRecord:
    """How a post fared on one account."""

    account: AccountRecord
    external_url: str | None = None
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PostRecord:
    """A post as it was when the event happened.

    `variants` are pairs of account id and body; `author` is the id and name of the token that wrote it.
    """

    id: int
    uuid: UUID
    status: PostStatus
    body: str
    created_at: datetime
    variants: tuple[tuple[int, str], ...] = ()
    accounts: tuple[PostAccountRecord, ...] = ()
    author: tuple[int, str] | None = None
    scheduled_at: datetime | None = None
    published_at: datetime | None = None
    trashed: bool = False


def account_data(account: AccountRecord) -> dict[str, Any]:
    """The data of `account.added`, `account.updated` and `account.unauthorized`."""
    return {
        "id": account.id,
        "uuid": str(account.uuid),
        "name": account.name,
        "username": account.username,
        "image": account.image,
        "provider": account.provider.value,
        "data": account.data,
        "authorized": account.authorized,
        "created_at": instant(account.created_at),
    }


def account_deleted_data(uuid: UUID) -> dict[str, Any]:
    """The data of `account.deleted`."""
    return {"uuid": str(uuid)}


def post_data(post: PostRecord) -> dict[str, Any]:
    """The data of every `post.*` event but `post.deleted`."""
    return {
        "id": post.id,
        "uuid": str(post.uuid),
        "status": post.status.value,
        "accounts": [_post_account(entry) for entry in post.accounts],
        "versions": [_version(ORIGINAL, post.body), *(_version(*variant) for variant in post.variants)],
        "tags": [],
        "user": None if post.author is None else {"id": post.author[0], "name": post.author[1]},
        "scheduled_at": _instant_or_none(post.scheduled_at),
        "published_at": _instant_or_none(post.published_at),
        "created_at": instant(post.created_at),
        "trashed": post.trashed,
    }


def posts_deleted_data(uuids: Iterable[UUID], to_trash: bool) -> dict[str, Any]:
    """The data of `post.deleted`: one event for all posts of one mutation."""
    return {"uuids": [str(uuid) for uuid in uuids], "to_trash" if to_trash else "deleted": True}


def document(event_type: EventType, data: dict[str, Any]) -> str:
    """The body of an event's deliveries: compact JSON, made only here. No text makes it raise.

    Halves of surrogate pairs, which UTF-8 cannot carry, become U+FFFD (docs/decisions/0010-documents.md).
    """
    whole = {"event": event_type.value, "data": data}
    try:
        return orjson.dumps(whole).decode()
    except TypeError:  # a lone surrogate, or an integer of more than 64 bits
        return json.dumps(_carriable(whole), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def instant(value: datetime) -> str:
    """RFC 3339 in UTC with a trailing Z; microseconds only where there are any. The same as the API's DateTime."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _instant_or_none(value: datetime | None) -> str | None:
    return None if value is None else instant(value)


def _post_account(entry: PostAccountRecord) -> dict[str, Any]:
    return {**account_data(entry.account), "external_url": entry.external_url, "errors": list(entry.errors)}


def _version(account_id: int, body: str) -> dict[str, Any]:
    return {
        "account_id": account_id,
        "is_original": account_id == ORIGINAL,
        "content": [{"body": body, "media": [], "url": None}],
        "options": {},
    }


def _carriable(value: Any) -> Any:
    match value:
        case str():
            # Two halves that form a pair become the character that they encode.
            return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        case dict():
            return {_carriable(key): _carriable(member) for key, member in value.items()}
        case list() | tuple():
            return [_carriable(member) for member in value]
        case float() if not math.isfinite(value):
            return None  # as orjson writes it
        case _:
            return value
