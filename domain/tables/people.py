"""Workspaces, who may act in them, and what was done."""

from datetime import datetime
from typing import Any
from uuid import uuid4

from tortoise import fields
from tortoise.fields import OnDelete
from tortoise.indexes import Index
from tortoise.models import Model

from domain.vocabulary import (
    Role,
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


class AuditEvent(Model):
    """Who did what. Rows are only ever added, in the transaction of what they tell of."""

    id = fields.BigIntField(primary_key=True)
    workspace: fields.ForeignKeyRelation[Workspace] = fields.ForeignKeyField("models.Workspace")
    workspace_id: int
    # Null for what the command line or the system itself did. Without a constraint in the database (migration 0005), as
    # the author of a post and the webhook of a replay: whoever removed a token would search all of this table.
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
