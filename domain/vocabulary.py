"""The closed sets of the product: every status, kind and role, under its standard name."""

from enum import Enum, StrEnum
from typing import Final


class Role(StrEnum):
    """What a token may do; each role may do all that the ones below it may."""

    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


class EventType(StrEnum):
    """What can happen in a workspace; the value is the name on the wire."""

    ACCOUNT_ADDED = "account.added"
    ACCOUNT_UPDATED = "account.updated"
    ACCOUNT_DELETED = "account.deleted"
    ACCOUNT_UNAUTHORIZED = "account.unauthorized"
    POST_CREATED = "post.created"
    POST_UPDATED = "post.updated"
    POST_DELETED = "post.deleted"
    POST_SCHEDULED = "post.scheduled"
    POST_PUBLISHED = "post.published"
    POST_PUBLISHING_FAILED = "post.publishing_failed"


class HttpMethod(StrEnum):
    """The method of a delivery's request."""

    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"


class ContentType(StrEnum):
    """How the body carries the document; the value is the media type."""

    JSON = "application/json"
    FORM = "application/x-www-form-urlencoded"


class WebhookDisabledReason(StrEnum):
    """Why the system switched a webhook off."""

    FAILING = "failing"
    GONE = "gone"


class DeliveryStatus(StrEnum):
    """Where a delivery stands; drawn in docs/life-of-a-delivery.md."""

    PENDING = "pending"
    DELIVERING = "delivering"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


WAITING = frozenset({DeliveryStatus.PENDING, DeliveryStatus.RETRYING})
FINISHED = frozenset({DeliveryStatus.SUCCEEDED, DeliveryStatus.FAILED, DeliveryStatus.CANCELLED})


class DeliveryWaitReason(StrEnum):
    """Why a waiting delivery is not being sent right now."""

    QUEUED = "queued"
    BACKOFF = "backoff"
    RETRY_AFTER = "retry_after"
    CIRCUIT_OPEN = "circuit_open"
    WEBHOOK_INACTIVE = "webhook_inactive"


class AttemptOutcome(StrEnum):
    """How one attempt ended."""

    SUCCEEDED = "succeeded"
    HTTP_ERROR = "http_error"
    TIMED_OUT = "timed_out"
    CONNECTION_FAILED = "connection_failed"
    DNS_FAILED = "dns_failed"
    TLS_FAILED = "tls_failed"
    ADDRESS_REFUSED = "address_refused"
    INVALID_RESPONSE = "invalid_response"
    INTERRUPTED = "interrupted"


class Provider(StrEnum):
    """Where an account lives; the value stands in payloads."""

    MASTODON = "mastodon"
    BLUESKY = "bluesky"
    SANDBOX = "sandbox"


class PostStatus(StrEnum):
    """Where a post stands; the value stands in payloads."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    PUBLISHING = "publishing"
    PUBLISHED = "published"
    FAILED = "failed"


class PostAccountStatus(StrEnum):
    """How a post fares on one account."""

    PENDING = "pending"
    PUBLISHED = "published"
    FAILED = "failed"


class Unset(Enum):
    """Distinguishes a field that was left out of a change from one that was set to null."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET
