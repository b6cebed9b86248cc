"""What a webhook can listen to: every event with a description, a whole example payload and the schema of its payload.

The builders in `payloads` make what is described here, and a test compares the two; docs/events.md is made from it.
"""

from dataclasses import dataclass

from domain import payload_schemas as schemas
from domain.payload_schemas import Json
from domain.vocabulary import EventType


@dataclass(frozen=True, slots=True)
class EventInfo:
    """One entry of the catalogue. `title` is what people call the event."""

    type: EventType
    title: str
    description: str
    example: Json
    json_schema: Json


_ACCOUNT = {
    "id": 12,
    "uuid": "5c1b9a52-6d0e-4a35-9a58-0b6f3c1d7e21",
    "name": "Ada's Bakery",
    "username": "adasbakery",
    "image": "https://mastodon.example/avatars/adasbakery.png",
    "provider": "mastodon",
    "data": {"server": "https://mastodon.example"},
    "authorized": True,
    "created_at": "2026-03-02T08:15:00Z",
}
_OTHER_ACCOUNT = {
    "id": 15,
    "uuid": "d2f8f7f0-3f4e-4c39-8d0c-8a4f5b7c9e10",
    "name": "Ada's Bakery",
    "username": "bakery.example",
    "image": None,
    "provider": "bluesky",
    "data": {"server": "https://bsky.social"},
    "authorized": True,
    "created_at": "2026-03-02T08:21:37.250000Z",
}


def _on(account: Json, external_url: str | None = None, *errors: str) -> Json:
    return {**account, "external_url": external_url, "errors": list(errors)}


def _saying(account_id: int, body: str) -> Json:
    return {
        "account_id": account_id,
        "is_original": account_id == 0,
        "content": [{"body": body, "media": [], "url": None}],
        "options": {},
    }


_POST = {
    "id": 481,
    "uuid": "0f6a2f8e-2c57-4f0b-b1d4-6b1a7f0c9d33",
    "status": "draft",
    "accounts": [_on(_ACCOUNT), _on(_OTHER_ACCOUNT)],
    "versions": [
        _saying(0, "Fresh sourdough from seven o'clock. See you at the corner! 🥖"),
        _saying(15, "Fresh sourdough from seven o'clock 🥖"),
    ],
    "tags": [],
    "user": {"id": 3, "name": "Editorial desk"},
    "scheduled_at": None,
    "published_at": None,
    "created_at": "2026-03-02T09:30:00Z",
    "trashed": False,
}
_SCHEDULED = {"scheduled_at": "2026-03-03T06:45:00Z"}
_TOOT = "https://mastodon.example/@adasbakery/114093000000000001"
_SKEET = "https://bsky.app/profile/bakery.example/post/3ljfzq5ssd22k"


def _info(event_type: EventType, title: str, description: str, example: Json, data_schema: Json) -> EventInfo:
    schema = schemas.payload(title, description, event_type.value, data_schema)
    return EventInfo(event_type, title, description, {"event": event_type.value, "data": example}, schema)


EVENT_TYPES: dict[EventType, EventInfo] = {
    info.type: info
    for info in (
        _info(
            EventType.ACCOUNT_ADDED,
            "Account Added",
            "A social account was connected to the workspace.",
            _ACCOUNT,
            schemas.ACCOUNT,
        ),
        _info(
            EventType.ACCOUNT_UPDATED,
            "Account Updated",
            "A connected account changed: its name, its picture, or its credentials.",
            {**_ACCOUNT, "name": "Ada's Bakery & Café"},
            schemas.ACCOUNT,
        ),
        _info(
            EventType.ACCOUNT_DELETED,
            "Account Deleted",
            "An account was removed from the workspace.",
            {"uuid": _ACCOUNT["uuid"]},
            schemas.DELETED_ACCOUNT,
        ),
        _info(
            EventType.ACCOUNT_UNAUTHORIZED,
            "Account Unauthorized",
            "A provider refused an account's credentials; somebody must authorise it again.",
            {**_ACCOUNT, "authorized": False},
            schemas.UNAUTHORIZED_ACCOUNT,
        ),
        _info(EventType.POST_CREATED, "Post Created", "A post was written.", _POST, schemas.ANY_POST),
        _info(
            EventType.POST_UPDATED,
            "Post Updated",
            "A post's text or accounts were changed, or its time was taken away.",
            {**_POST, "accounts": [_on(_ACCOUNT)], "versions": [_saying(0, "Sourdough is sold out for today. 🥖")]},
            schemas.ANY_POST,
        ),
        _info(
            EventType.POST_DELETED,
            "Post Deleted",
            "One or several posts were deleted, or put into the trash: one event for all that went together.",
            {"uuids": [_POST["uuid"], "7b1e7c9a-4f0e-4a51-8f39-2f8a1f6f2b64"], "deleted": True},
            schemas.DELETED_POSTS,
        ),
        _info(
            EventType.POST_SCHEDULED,
            "Post Scheduled",
            "A post was given a time at which it will be published, or another one.",
            {**_POST, **_SCHEDULED, "status": "scheduled"},
            schemas.SCHEDULED_POST,
        ),
        _info(
            EventType.POST_PUBLISHED,
            "Post Published",
            "A post was published on all of its accounts.",
            {
                **_POST,
                **_SCHEDULED,
                "status": "published",
                "accounts": [_on(_ACCOUNT, _TOOT), _on(_OTHER_ACCOUNT, _SKEET)],
                "published_at": "2026-03-03T06:45:01.318204Z",
            },
            schemas.PUBLISHED_POST,
        ),
        _info(
            EventType.POST_PUBLISHING_FAILED,
            "Publishing Post Failed",
            "A post could not be published on at least one of its accounts; each account's entry says how it went.",
            {
                **_POST,
                **_SCHEDULED,
                "status": "failed",
                "accounts": [
                    _on(_ACCOUNT, _TOOT),
                    _on({**_OTHER_ACCOUNT, "authorized": False}, None, "Bluesky refused the account's credentials."),
                ],
            },
            schemas.FAILED_POST,
        ),
    )
}
