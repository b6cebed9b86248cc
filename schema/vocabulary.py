"""The closed sets of domain/vocabulary.py as enums of the schema, with a description of each value."""

from enum import Enum

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition

from domain.errors import FaultCode
from domain.vocabulary import (
    AttemptOutcome,
    ContentType,
    DeliveryStatus,
    DeliveryWaitReason,
    EventType,
    HttpMethod,
    PostAccountStatus,
    PostStatus,
    Provider,
    Role,
    WebhookDisabledReason,
)


def describe(vocabulary: type[Enum], description: str, name: str | None = None, **values: str) -> None:
    """Register an enum of the domain with the schema. Raises KeyError if a value has no description."""
    strawberry.enum(vocabulary, name=name, description=description)
    definition: StrawberryEnumDefinition = vars(vocabulary)["__strawberry_definition__"]
    for value in definition.values:
        value.description = values[value.name]


describe(
    Role,
    "What a token may do. Each role may also do what the ones after it may.",
    ADMIN="May do everything: webhooks, deliveries, tokens and the audit trail as well.",
    MEMBER="May add and change accounts and posts, and read everything but the audit trail.",
    VIEWER="May read, and change nothing.",
)
describe(
    EventType,
    "What can happen in a workspace, and so what a webhook can listen to.",
    ACCOUNT_ADDED="An account was connected.",
    ACCOUNT_UPDATED="An account's name, picture, credentials or other data changed.",
    ACCOUNT_DELETED="An account was removed from the workspace.",
    ACCOUNT_UNAUTHORIZED="A provider refused the account's credentials; somebody has to give it new ones.",
    POST_CREATED="A post was written.",
    POST_UPDATED="A post's text or accounts changed, or its time was taken away.",
    POST_DELETED="One or more posts were deleted or moved to the trash.",
    POST_SCHEDULED="A post was given a time at which it goes out.",
    POST_PUBLISHED="A post is out on every one of its accounts.",
    POST_PUBLISHING_FAILED="At least one account of a post could not publish it.",
)
describe(
    HttpMethod,
    "The method of the requests that a webhook receives.",
    POST="The usual one.",
    PUT="For receivers that take the document as a resource.",
    PATCH="For receivers that take the document as a partial change.",
    DELETE="Sent with a body, like the others.",
)
describe(
    ContentType,
    "How the JSON document is encoded in the body of a request.",
    JSON="The body is the document itself, as `application/json`.",
    FORM="The body is a form with one field, `payload=` and the document, as `application/x-www-form-urlencoded`.",
)
describe(
    WebhookDisabledReason,
    "Why the system, and not a person, switched a webhook off.",
    FAILING="Nothing but failures for five days, or for as long as the operator allows.",
    GONE="Its receiver answered 410 Gone, which asks us to stop.",
)
describe(
    DeliveryStatus,
    "The state of a delivery.",
    PENDING="Recorded, and not tried yet.",
    DELIVERING="A worker is sending it right now.",
    RETRYING="The last attempt failed and another one is planned.",
    SUCCEEDED="The receiver answered with a 2xx status. Final.",
    FAILED="Every attempt was used up, the receiver asked us to stop, or five attempts were interrupted. Final.",
    CANCELLED="Somebody stopped it, or deleted its webhook. Final.",
)
describe(
    DeliveryWaitReason,
    "What an unfinished delivery is waiting for.",
    QUEUED="For a free worker; it is due.",
    BACKOFF="For the time that the retry schedule gives.",
    RETRY_AFTER="For the time that the receiver asked for with a `Retry-After` header.",
    CIRCUIT_OPEN="For its endpoint, which could not be reached several times in a row, to be tried again.",
    WEBHOOK_INACTIVE="For somebody to activate its webhook.",
)
describe(
    AttemptOutcome,
    "How one attempt ended.",
    SUCCEEDED="The receiver answered with a 2xx status.",
    HTTP_ERROR="The receiver answered with another status. Redirects count as such: they are not followed.",
    TIMED_OUT="No status and headers came within the deadline.",
    CONNECTION_FAILED="The connection could not be made, or broke.",
    DNS_FAILED="The host name leads to no address.",
    TLS_FAILED="No encrypted connection could be agreed on, most often because of the certificate.",
    ADDRESS_REFUSED="The host leads to an address where deliveries may not go.",
    INVALID_RESPONSE="What came back was not HTTP, its headers were too large, or its status not from 200 to 599.",
    INTERRUPTED="The worker died, or could not send; the request may have arrived. Does not use up an attempt.",
)
describe(
    Provider,
    "The network an account lives on.",
    MASTODON="A Mastodon server, or one that speaks its API.",
    BLUESKY="Bluesky, on bsky.social or any other personal data server.",
    SANDBOX="No network at all: for trying things out. What happens to a post is chosen by the account's server field.",
)
describe(
    PostStatus,
    "The state of a post.",
    DRAFT="Being written; it has no time at which it goes out.",
    SCHEDULED="Goes out by itself when its time comes.",
    PUBLISHING="On its way to its accounts; it can no longer be changed.",
    PUBLISHED="Out on every account.",
    FAILED="At least one account could not publish it; `postPublish` tries those again.",
)
describe(
    PostAccountStatus,
    "The state of a post on one of its accounts.",
    PENDING="Not published there yet.",
    PUBLISHED="Out on this account.",
    FAILED="This account could not publish it; its errors say why.",
)
describe(
    FaultCode,
    "What kind of thing is wrong with an input, for programs to act on.",
    name="UserErrorCode",
    REQUIRED="Something is missing.",
    INVALID="The value cannot be understood, or is not allowed here.",
    TOO_LONG="The value is longer than allowed.",
    OUT_OF_RANGE="The value is too small or too large.",
    TAKEN="Something else already uses this value.",
    NOT_FOUND="Nothing in this workspace has this id.",
    ADDRESS_REFUSED="The URL leads to a place where deliveries may not go.",
    WRONG_STATE="What it is about is in a state that does not allow this.",
    LIMIT_REACHED="There would be more of these than are allowed, in the workspace or in what was sent.",
    UNAUTHORIZED_BY_PROVIDER="The provider refused the credentials.",
    PROVIDER_UNREACHABLE="The provider did not answer, or its answer could not be understood. Trying again may help.",
)
