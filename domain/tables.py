"""The tables, as Tortoise models. Nouns and their verbs live in the files named after them; here is only their shape.

Lists are read newest first by `id`, which grows with creation. Indexes that Tortoise cannot spell (partial ones) are
made by the migrations. The tables that every delivery writes to have no foreign key constraints: each would lock a
row of a table that all deliveries share. What they refer to is only ever removed together with them.
"""

from datetime import datetime
from typing import Any
from uuid import uuid4

from tortoise import fields
from tortoise.contrib.postgres.fields import ArrayField
from tortoise.fields import OnDelete
from tortoise.indexes import Index
from tortoise.models import Model

from domain.vocabulary import (
    AttemptOutcome,
    ContentType,
    DeliveryStatus,
    EventType,
    HttpMethod,
    PostAccountStatus,
    PostStatus,
    Provider,
    Role,
    WebhookDisabledReason,
)


class Workspace(Model):
    """Everything belongs to one; nothing crosses its border."""

    id = fields.BigIntField(primary_key=True)
    uuid = fields.UUIDField(default=uuid4)
    name = fields.CharField(max_length=200)
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "workspace"


class Token(Model):
    """A key to a workspace; only its digest is kept."""

    id = fields.BigIntField(primary_key=True)
    workspace: fields.ForeignKeyRelation[Workspace] = fields.ForeignKeyField("models.Workspace")
    workspace_id: int
    name = fields.CharField(max_length=200)
    role = fields.CharEnumField(Role, max_length=10)
    prefix = fields.CharField(max_length=16)
    digest = fields.BinaryField()
    created_at = fields.DatetimeField(auto_now_add=True)
    last_used_at: datetime | None = fields.DatetimeField(null=True)
    expires_at: datetime | None = fields.DatetimeField(null=True)
    revoked_at: datetime | None = fields.DatetimeField(null=True)

    class Meta:
        table = "token"
        indexes = [Index(fields=("workspace_id", "id"))]


class Account(Model):
    """A connected social account. Deleted ones stay for the posts that went out through them, without credentials."""

    id = fields.BigIntField(primary_key=True)
    uuid = fields.UUIDField(default=uuid4)
    workspace: fields.ForeignKeyRelation[Workspace] = fields.ForeignKeyField("models.Workspace")
    workspace_id: int
    provider = fields.CharEnumField(Provider, max_length=20)
    provider_id = fields.CharField(max_length=500)
    name = fields.CharField(max_length=500)
    username = fields.CharField(max_length=500, null=True)
    image = fields.CharField(max_length=2048, null=True)
    data: dict[str, Any] = fields.JSONField(default=dict)
    authorized = fields.BooleanField(default=True)
    # Sealed JSON: what the provider needs to publish (tokens, passwords, sessions).
    sealed_credentials: bytes | None = fields.BinaryField(null=True)
    created_at = fields.DatetimeField(auto_now_add=True)
    updated_at = fields.DatetimeField(auto_now=True)
    deleted_at: datetime | None = fields.DatetimeField(null=True)

    class Meta:
        table = "account"
        indexes = [Index(fields=("workspace_id", "id"))]


class Post(Model):
    """What is published. While it is PUBLISHING, a worker holds it by a lease."""

    id = fields.BigIntField(primary_key=True)
    uuid = fields.UUIDField(default=uuid4)
    workspace: fields.ForeignKeyRelation[Workspace] = fields.ForeignKeyField("models.Workspace")
    workspace_id: int
    author: fields.ForeignKeyNullableRelation[Token] = fields.ForeignKeyField(
        "models.Token", null=True, on_delete=OnDelete.SET_NULL
    )
    author_id: int | None
    status = fields.CharEnumField(PostStatus, max_length=12, default=PostStatus.DRAFT)
    body = fields.TextField()
    scheduled_at: datetime | None = fields.DatetimeField(null=True)
    published_at: datetime | None = fields.DatetimeField(null=True)
    trashed = fields.BooleanField(default=False)
    idempotency_key = fields.CharField(max_length=200, null=True)
    # When a worker should next take it (SCHEDULED: scheduled_at; PUBLISHING: now, or when a provider's limit ends).
    due_at: datetime | None = fields.DatetimeField(null=True)
    leased_until: datetime | None = fields.DatetimeField(null=True)
    # Counts claims; a worker whose count is no longer the row's has lost its lease.
    claim = fields.IntField(default=0)
    # Counts changes of status, for the live stream.
    change = fields.IntField(default=0)
    created_at = fields.DatetimeField(auto_now_add=True)
    updated_at = fields.DatetimeField(auto_now=True)

    accounts: fields.ReverseRelation["PostAccount"]

    class Meta:
        table = "post"
        indexes = [Index(fields=("workspace_id", "id"))]


class PostAccount(Model):
    """A post on one account: what it says there and how it fares."""

    id = fields.BigIntField(primary_key=True)
    post: fields.ForeignKeyRelation[Post] = fields.ForeignKeyField("models.Post", related_name="accounts")
    post_id: int
    account: fields.ForeignKeyRelation[Account] = fields.ForeignKeyField("models.Account", related_name="posts")
    account_id: int
    # What this account says instead of the post's body.
    variant: str | None = fields.TextField(null=True)
    status = fields.CharEnumField(PostAccountStatus, max_length=12, default=PostAccountStatus.PENDING)
    provider_post_id = fields.CharField(max_length=500, null=True)
    external_url = fields.CharField(max_length=2048, null=True)
    errors: list[str] = fields.JSONField(default=list)
    # What a provider keeps between tries, so that a second try makes no second post.
    progress: dict[str, Any] = fields.JSONField(default=dict)

    class Meta:
        table = "post_account"
        unique_together = (("post", "account"),)
        indexes = [Index(fields=("account_id", "post_id"))]


class Webhook(Model):
    """Where deliveries go. Deleted ones stay for their log, without secrets."""

    id = fields.BigIntField(primary_key=True)
    uuid = fields.UUIDField(default=uuid4)
    workspace: fields.ForeignKeyRelation[Workspace] = fields.ForeignKeyField("models.Workspace")
    workspace_id: int
    name = fields.CharField(max_length=200)
    callback_url = fields.CharField(max_length=2048)
    method = fields.CharEnumField(HttpMethod, max_length=6, default=HttpMethod.POST)
    content_type = fields.CharEnumField(ContentType, max_length=40, default=ContentType.JSON)
    max_attempts = fields.SmallIntField(default=10)
    active = fields.BooleanField(default=True)
    disabled_reason = fields.CharEnumField(WebhookDisabledReason, max_length=10, null=True)
    disabled_at: datetime | None = fields.DatetimeField(null=True)
    events: list[str] = ArrayField(element_type="text")
    sealed_secret: bytes | None = fields.BinaryField(null=True)
    # While a rotation overlaps, the old secret signs beside the new one.
    sealed_previous_secret: bytes | None = fields.BinaryField(null=True)
    previous_secret_until: datetime | None = fields.DatetimeField(null=True)
    # Sealed JSON: [[name, value], ...].
    sealed_headers: bytes | None = fields.BinaryField(null=True)
    # The endpoint's health (domain/health.py).
    failing_since: datetime | None = fields.DatetimeField(null=True)
    # Timeouts and failed connections; any answer ends the row.
    unreachable_in_a_row = fields.IntField(default=0)
    # Set while the circuit is open; once it has passed, one delivery is sent as a probe.
    circuit_open_until: datetime | None = fields.DatetimeField(null=True)
    created_at = fields.DatetimeField(auto_now_add=True)
    updated_at = fields.DatetimeField(auto_now=True)
    deleted_at: datetime | None = fields.DatetimeField(null=True)

    class Meta:
        table = "webhook"
        indexes = [Index(fields=("workspace_id", "id"))]


class Event(Model):
    """Something that happened, with the JSON document that webhooks receive. It never changes."""

    id = fields.BigIntField(primary_key=True)
    uuid = fields.UUIDField(default=uuid4)
    workspace: fields.ForeignKeyRelation[Workspace] = fields.ForeignKeyField("models.Workspace", db_constraint=False)
    workspace_id: int
    type = fields.CharEnumField(EventType, max_length=40)
    occurred_at = fields.DatetimeField(auto_now_add=True)
    # Text, not jsonb: its bytes are signed and stay as they were made.
    document = fields.TextField()

    class Meta:
        table = "event"
        indexes = [Index(fields=("workspace_id", "id"))]


class Replay(Model):
    """A stored job that sends finished deliveries of one webhook again, page by page."""

    id = fields.BigIntField(primary_key=True)
    workspace: fields.ForeignKeyRelation[Workspace] = fields.ForeignKeyField("models.Workspace")
    workspace_id: int
    webhook: fields.ForeignKeyRelation[Webhook] = fields.ForeignKeyField("models.Webhook")
    webhook_id: int
    statuses: list[str] = ArrayField(element_type="text")
    since = fields.DatetimeField()
    until = fields.DatetimeField()
    # The last delivery whose copy was made; the next page begins after it.
    position = fields.BigIntField(default=0)
    total = fields.IntField(default=0)
    done = fields.IntField(default=0)
    created_at = fields.DatetimeField(auto_now_add=True)
    finished_at: datetime | None = fields.DatetimeField(null=True)

    class Meta:
        table = "replay"
        indexes = [Index(fields=("workspace_id", "id"))]


class Delivery(Model):
    """One event on its way to one webhook. Its state changes in domain/deliveries.py and nowhere else.

    The claim touches no indexed column, so that PostgreSQL can update the row in place (HOT).
    """

    id = fields.BigIntField(primary_key=True)
    uuid = fields.UUIDField(default=uuid4)
    workspace: fields.ForeignKeyRelation[Workspace] = fields.ForeignKeyField("models.Workspace", db_constraint=False)
    workspace_id: int
    event: fields.ForeignKeyRelation[Event] = fields.ForeignKeyField(
        "models.Event", related_name="deliveries", db_constraint=False
    )
    event_id: int
    webhook: fields.ForeignKeyRelation[Webhook] = fields.ForeignKeyField(
        "models.Webhook", related_name="deliveries", db_constraint=False
    )
    webhook_id: int
    event_type = fields.CharEnumField(EventType, max_length=40)
    status = fields.CharEnumField(DeliveryStatus, max_length=10, default=DeliveryStatus.PENDING)
    is_test = fields.BooleanField(default=False)
    max_attempts = fields.SmallIntField()
    # Attempts that count towards max_attempts.
    attempt_count = fields.SmallIntField(default=0)
    # Attempts whose worker died.
    interrupted_count = fields.SmallIntField(default=0)
    # The attempt under way, or the last one: the fence. A result is recorded only where this is still its number.
    attempt_number = fields.SmallIntField(default=0)
    due_at = fields.DatetimeField(auto_now_add=True)
    # Whether due_at is what the receiver asked for.
    retry_after = fields.BooleanField(default=False)
    claimed_at: datetime | None = fields.DatetimeField(null=True)
    leased_until: datetime | None = fields.DatetimeField(null=True)
    # Counts changes of status, for the live stream.
    change = fields.IntField(default=1)
    created_at = fields.DatetimeField(auto_now_add=True)
    finished_at: datetime | None = fields.DatetimeField(null=True)
    retry_of: fields.ForeignKeyNullableRelation["Delivery"] = fields.ForeignKeyField(
        "models.Delivery", null=True, on_delete=OnDelete.NO_ACTION, related_name="retries", db_constraint=False
    )
    retry_of_id: int | None
    replay: fields.ForeignKeyNullableRelation[Replay] = fields.ForeignKeyField(
        "models.Replay", null=True, on_delete=OnDelete.NO_ACTION, related_name="deliveries", db_constraint=False
    )
    replay_id: int | None

    attempts: fields.ReverseRelation["Attempt"]

    class Meta:
        table = "delivery"
        indexes = [
            Index(fields=("workspace_id", "id")),
            Index(fields=("webhook_id", "id")),
            Index(fields=("event_id", "id")),
        ]


class Attempt(Model):
    """One try of one delivery, as it went. Secret header values are hidden before they come here."""

    id = fields.BigIntField(primary_key=True)
    delivery: fields.ForeignKeyRelation[Delivery] = fields.ForeignKeyField(
        "models.Delivery", related_name="attempts", db_constraint=False
    )
    delivery_id: int
    number = fields.SmallIntField()
    started_at = fields.DatetimeField()
    duration_ms = fields.IntField()
    outcome = fields.CharEnumField(AttemptOutcome, max_length=20)
    error: str | None = fields.TextField(null=True)
    request_url = fields.CharField(max_length=2048)
    request_method = fields.CharEnumField(HttpMethod, max_length=6)
    # JSON text: [[name, value], ...].
    request_headers = fields.TextField()
    response_status: int | None = fields.SmallIntField(null=True)
    response_headers: str | None = fields.TextField(null=True)
    response_body: str | None = fields.TextField(null=True)
    response_truncated = fields.BooleanField(default=False)

    class Meta:
        table = "attempt"
        unique_together = (("delivery", "number"),)


class Unsettled(Model):
    """A delivery that the database loop must look at: an attempt is under way, or a change of its status may not stand
    in the live stream yet. Gone once neither is so (docs/decisions/0003-live-changes.md).
    """

    delivery_id = fields.BigIntField(primary_key=True, generated=False)
    # The first change that may be missing from the stream.
    from_change = fields.IntField()
    check_at = fields.DatetimeField()

    class Meta:
        table = "unsettled"


class PostChange(Model):
    """A change of a post that may not stand in the live stream yet; removed once it does."""

    id = fields.BigIntField(primary_key=True)
    workspace: fields.ForeignKeyRelation[Workspace] = fields.ForeignKeyField("models.Workspace")
    workspace_id: int
    post_id = fields.BigIntField()
    change = fields.IntField()
    occurred_at = fields.DatetimeField(auto_now_add=True)
    # The post as it was then, as the live stream carries it.
    snapshot: dict[str, Any] = fields.JSONField()

    class Meta:
        table = "post_change"


class AuditEvent(Model):
    """Who did what. Rows are only ever added, in the transaction of what they tell of."""

    id = fields.BigIntField(primary_key=True)
    workspace: fields.ForeignKeyRelation[Workspace] = fields.ForeignKeyField("models.Workspace")
    workspace_id: int
    # Null for what the command line or the system itself did.
    token: fields.ForeignKeyNullableRelation[Token] = fields.ForeignKeyField(
        "models.Token", null=True, on_delete=OnDelete.SET_NULL
    )
    token_id: int | None
    # Noun and verb, for example "webhook.rotate_secret".
    action = fields.CharField(max_length=60)
    subject_type = fields.CharField(max_length=30)
    subject_id: int | None = fields.BigIntField(null=True)
    # What a person wants to know of it; never a secret.
    detail: dict[str, Any] = fields.JSONField(default=dict)
    occurred_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "audit_event"
        indexes = [Index(fields=("workspace_id", "id"))]


__all__ = [
    "Account", "Attempt", "AuditEvent", "Delivery", "Event", "Post", "PostAccount", "PostChange",
    "Replay", "Token", "Unsettled", "Webhook", "Workspace",
]  # fmt: skip
