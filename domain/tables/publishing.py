"""Accounts and posts."""

from datetime import datetime
from typing import Any
from uuid import uuid4

from tortoise import fields
from tortoise.fields import OnDelete
from tortoise.indexes import Index
from tortoise.models import Model

from domain.tables.people import Token, Workspace
from domain.vocabulary import (
    PostAccountStatus,
    PostStatus,
    Provider,
)


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
    # When a worker should next take it (SCHEDULED: scheduled_at; PUBLISHING: when its next account is to be tried).
    due_at: datetime | None = fields.DatetimeField(null=True)
    # Between its tries a PUBLISHING post has no lease.
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
    # What is kept between tries (domain/tries.py): how often and since when it was tried, when it is next, and what the
    # provider remembers, so that a second try makes no second post.
    progress: dict[str, Any] = fields.JSONField(default=dict)

    class Meta:
        table = "post_account"
        unique_together = (("post", "account"),)
        indexes = [Index(fields=("account_id", "post_id"))]


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
