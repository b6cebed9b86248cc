"""Webhooks, events, and deliveries with their attempts.

What every delivery writes to has no foreign key constraints: each would lock a row of a table that all deliveries
share. What they refer to is only ever removed together with them (docs/decisions/0006-tables.md).
"""

import json
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import uuid4

from tortoise import fields
from tortoise.contrib.postgres.fields import ArrayField
from tortoise.fields import OnDelete
from tortoise.indexes import Index
from tortoise.models import Model

from domain.tables.people import Workspace
from domain.vocabulary import (
    AttemptOutcome,
    ContentType,
    DeliveryStatus,
    EventType,
    HttpMethod,
    WebhookDisabledReason,
)


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
    failed_at: datetime | None = fields.DatetimeField(null=True)
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

    @cached_property
    def payload(self) -> Any:
        """The document as a value: read once, for whoever has this row."""
        return json.loads(self.document)

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
    # The last delivery whose copy was made, or at first one from before `since`; the next page begins after it.
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
    # Attempts that ended for a reason of ours: the worker died, or could not send. They are not in attempt_count.
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

    @cached_property
    def sent(self) -> list[tuple[str, str]]:
        """The request's headers, read once for whoever has this row."""
        return [(name, value) for name, value in json.loads(self.request_headers)]

    @cached_property
    def answered(self) -> list[tuple[str, str]]:
        """Those of the answer, none where no answer came."""
        return [(name, value) for name, value in json.loads(self.response_headers or "[]")]

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
