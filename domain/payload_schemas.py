"""The shapes of payloads, as strict JSON Schema 2020-12: what is not named does not occur."""

from typing import Any

from domain.vocabulary import PostStatus, Provider

Json = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


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
        "uuid": _uuid("What the account is known by, for good. The API shows it as `uuid`; its `id` there is another."),
        "name": _string("The account's name, as people know it."),
        "username": _or_null(_string("Its name at the provider, if it has one.")),
        "image": _or_null(_string("The URL of its picture, if it has one.")),
        "provider": _string("The network.", enum=[provider.value for provider in Provider]),
        "data": {"type": "object", "description": "What the provider adds, for example its server."},
        "authorized": authorized,
        "created_at": _time("When the account was connected."),
    }


_AUTHORIZED = _boolean("False once the provider has refused the account's credentials.")
_UNAUTHORIZED = _boolean("The provider has refused the account's credentials.", const=False)

ACCOUNT = _object("The account.", **_account_properties(_AUTHORIZED))
UNAUTHORIZED_ACCOUNT = _object("The account.", **_account_properties(_UNAUTHORIZED))
DELETED_ACCOUNT = _object("The account that is gone.", uuid=_uuid("What the account was known by."))

_POST_ACCOUNT = _object(
    "An account that the post goes to, and what became of the post there.",
    **_account_properties(_AUTHORIZED),
    external_url=_or_null(_string("Where the post can be seen, once it is published on this account.")),
    errors=_array("Why publishing to this account failed; empty unless it did.", _string("One reason.")),
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
    "Whose token wrote the post; null if that is no longer known.",
    id=_integer("The token's number.", minimum=1),
    name=_string("The token's name."),
)


def _post_schema(status: Json, scheduled_at: Json, published_at: Json) -> Json:
    return _object(
        "The post.",
        id=_integer("The post's number.", minimum=1),
        uuid=_uuid("What the post is known by, for good. The API shows it as `uuid`; its `id` there is another."),
        status=status,
        accounts=_array("The accounts that the post goes to.", _POST_ACCOUNT),
        versions=_array("The original first, then the variants.", _VERSION, minItems=1),
        tags=_empty_array("Labels: always empty."),
        user=_or_null(_USER),
        scheduled_at=scheduled_at,
        published_at=published_at,
        created_at=_time("When the post was written."),
        trashed=_boolean("Whether the post is in the trash."),
    )


def _status(*possible: PostStatus) -> Json:
    return _string("The state of the post.", enum=[status.value for status in possible])


_SCHEDULED_AT = _time("When the post is to be published; null if that is not planned.")
_PUBLISHED_AT = _time("When the post was published; null if it was not.")
ANY_POST = _post_schema(_status(*PostStatus), _or_null(_SCHEDULED_AT), _or_null(_PUBLISHED_AT))
SCHEDULED_POST = _post_schema(_status(PostStatus.SCHEDULED), _SCHEDULED_AT, _or_null(_PUBLISHED_AT))
PUBLISHED_POST = _post_schema(_status(PostStatus.PUBLISHED), _or_null(_SCHEDULED_AT), _PUBLISHED_AT)
FAILED_POST = _post_schema(_status(PostStatus.FAILED), _or_null(_SCHEDULED_AT), _or_null(_PUBLISHED_AT))

_UUIDS = _array("What the posts were known by: their `uuid`.", _uuid("One post."), minItems=1)
DELETED_POSTS: Json = {
    "oneOf": [
        _object("Posts that are gone.", uuids=_UUIDS, deleted=_boolean("They cannot come back.", const=True)),
        _object("Posts in the trash.", uuids=_UUIDS, to_trash=_boolean("They can only be deleted.", const=True)),
    ]
}


def payload(title: str, description: str, event: str, data: Json) -> Json:
    """The schema of a whole payload: the event's name on the wire, and its data."""
    whole = _object(description, event=_string("What happened.", const=event), data=data)
    return {"$schema": DIALECT, "title": title, **whole}
