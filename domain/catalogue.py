"""What a webhook can listen to: every event with a description, a whole example payload and the schema of its payload.

The builders in `payloads` make what is described here, and a test compares the two; docs/events.md is made from it.
Schemas are JSON Schema 2020-12 and strict: what is not named does not occur.
"""

from dataclasses import dataclass
from typing import Any

from domain.vocabulary import EventType, PostStatus, Provider

Json = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, slots=True)
class EventInfo:
    """One entry of the catalogue. `title` is what people call the event."""

    type: EventType
    title: str
    description: str
    example: Json
    json_schema: Json


# ------------------------------------------------------------------------------------------------------------ schemas


def _object(description: str, **properties: Json) -> Json:
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _array(description: str, items: Json, **more: Any) -> Json:
    return {"type": "array", "description": description, "items": items, **more}


def _string(description: str, **more: Any) -> Json:
    return {"type": "string", "description": description, **more}


def _integer(description: str, **more: Any) -> Json:
    return {"type": "integer", "description": description, **more}


def _boolean(description: str, **more: Any) -> Json:
    return {"type": "boolean", "description": description, **more}


def _empty_array(description: str) -> Json:
    return {"type": "array", "description": description, "maxItems": 0}


def _or_null(schema: Json) -> Json:
    return {**schema, "type": [schema["type"], "null"]}


def _uuid(description: str) -> Json:
    return _string(description, format="uuid")


def _time(description: str) -> Json:
    return _string(
        f"{description} RFC 3339 in UTC; microseconds only where there are any.",
        format="date-time",
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?Z$",
    )


def _account_properties(authorized: Json) -> Json:
    return {
        "id": _integer("The account's number; versions refer to it.", minimum=1),
        "uuid": _uuid("The account's public id."),
        "name": _string("The account's name, as people know it."),
        "username": _or_null(_string("Its name at the provider, where it has one.")),
        "image": _or_null(_string("The address of its picture, where it has one.")),
        "provider": _string("The network.", enum=[provider.value for provider in Provider]),
        "data": {"type": "object", "description": "What the provider adds, for example its server."},
        "authorized": authorized,
        "created_at": _time("When the account was connected."),
    }


_AUTHORIZED = _boolean("False once the provider has refused the account's credentials.")
_UNAUTHORIZED = _boolean("The provider has refused the account's credentials.", const=False)

_POST_ACCOUNT = _object(
    "An account that the post goes to, and how the post fares on it.",
    **_account_properties(_AUTHORIZED),
    external_url=_or_null(_string("Where the post can be seen, once it is published on this account.")),
    errors=_array("Why it could not be published on this account; empty where it could.", _string("One reason.")),
)

_VERSION = _object(
    "What the post says: the original, or the variant of one account.",
    account_id=_integer("The number of the account whose variant it is; 0 for the original.", minimum=0),
    is_original=_boolean("Whether this is what all accounts say that have no variant."),
    content=_array(
        "The parts of the text.",
        _object(
            "One part.",
            body=_string("The text."),
            media=_empty_array("Pictures and films: always empty."),
            url={"type": "null", "description": "A linked page: always null."},
        ),
        minItems=1,
        maxItems=1,
    ),
    options=_object("Settings of single networks: always empty."),
)

_USER = _object(
    "Whose token wrote the post; null where that is no longer known.",
    id=_integer("The token's number.", minimum=1),
    name=_string("The token's name."),
)


def _post_schema(status: Json, scheduled_at: Json, published_at: Json) -> Json:
    return _object(
        "The post.",
        id=_integer("The post's number.", minimum=1),
        uuid=_uuid("The post's public id."),
        status=status,
        accounts=_array("The accounts that the post goes to.", _POST_ACCOUNT),
        versions=_array("The original first, then the variants.", _VERSION, minItems=1),
        tags=_empty_array("Labels: always empty."),
        user=_or_null(_USER),
        scheduled_at=scheduled_at,
        published_at=published_at,
        created_at=_time("When the post was written."),
        trashed=_boolean("Whether the post lies in the trash."),
    )


_ANY_STATUS = _string("Where the post stands.", enum=[status.value for status in PostStatus])
_SCHEDULED_AT = _time("When the post is to be published; null where that is not planned.")
_PUBLISHED_AT = _time("When the post was published; null where it was not.")
_ANY_POST = _post_schema(_ANY_STATUS, _or_null(_SCHEDULED_AT), _or_null(_PUBLISHED_AT))


def _post_is(status: PostStatus, scheduled_at: Json, published_at: Json) -> Json:
    return _post_schema(_string("Where the post stands.", const=status.value), scheduled_at, published_at)


_UUIDS = _array("The public ids of the posts.", _uuid("One post."), minItems=1)
_DELETED_POSTS: Json = {
    "oneOf": [
        _object("Posts that are gone.", uuids=_UUIDS, deleted=_boolean("They cannot come back.", const=True)),
        _object("Posts in the trash.", uuids=_UUIDS, to_trash=_boolean("They can come back.", const=True)),
    ]
}

# ----------------------------------------------------------------------------------------------------------- examples

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

# ---------------------------------------------------------------------------------------------------------- catalogue


def _info(event_type: EventType, title: str, description: str, example: Json, data_schema: Json) -> EventInfo:
    schema = {
        "$schema": DIALECT,
        "title": title,
        **_object(description, event=_string("What happened.", const=event_type.value), data=data_schema),
    }
    return EventInfo(event_type, title, description, {"event": event_type.value, "data": example}, schema)


_ACCOUNT_SCHEMA = _object("The account.", **_account_properties(_AUTHORIZED))

EVENT_TYPES: dict[EventType, EventInfo] = {
    info.type: info
    for info in (
        _info(
            EventType.ACCOUNT_ADDED,
            "Account Added",
            "A social account was connected to the workspace.",
            _ACCOUNT,
            _ACCOUNT_SCHEMA,
        ),
        _info(
            EventType.ACCOUNT_UPDATED,
            "Account Updated",
            "A connected account changed: its name, its picture, or its credentials.",
            {**_ACCOUNT, "name": "Ada's Bakery & Café"},
            _ACCOUNT_SCHEMA,
        ),
        _info(
            EventType.ACCOUNT_DELETED,
            "Account Deleted",
            "An account was removed from the workspace.",
            {"uuid": _ACCOUNT["uuid"]},
            _object("The account that is gone.", uuid=_uuid("The account's public id.")),
        ),
        _info(
            EventType.ACCOUNT_UNAUTHORIZED,
            "Account Unauthorized",
            "A provider refused an account's credentials; somebody must authorise it again.",
            {**_ACCOUNT, "authorized": False},
            _object("The account.", **_account_properties(_UNAUTHORIZED)),
        ),
        _info(EventType.POST_CREATED, "Post Created", "A post was written.", _POST, _ANY_POST),
        _info(
            EventType.POST_UPDATED,
            "Post Updated",
            "A post's text, accounts or time was changed.",
            {**_POST, "accounts": [_on(_ACCOUNT)], "versions": [_saying(0, "Sourdough is sold out for today. 🥖")]},
            _ANY_POST,
        ),
        _info(
            EventType.POST_DELETED,
            "Post Deleted",
            "One or several posts were deleted, or put into the trash: one event for all that went together.",
            {"uuids": [_POST["uuid"], "7b1e7c9a-4f0e-4a51-8f39-2f8a1f6f2b64"], "deleted": True},
            _DELETED_POSTS,
        ),
        _info(
            EventType.POST_SCHEDULED,
            "Post Scheduled",
            "A post was given a time at which it will be published, or another one.",
            {**_POST, **_SCHEDULED, "status": "scheduled"},
            _post_is(PostStatus.SCHEDULED, _SCHEDULED_AT, _or_null(_PUBLISHED_AT)),
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
            _post_is(PostStatus.PUBLISHED, _or_null(_SCHEDULED_AT), _PUBLISHED_AT),
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
            _post_is(PostStatus.FAILED, _or_null(_SCHEDULED_AT), _or_null(_PUBLISHED_AT)),
        ),
    )
}
