"""Attempts: what was sent, and what came back."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Self, TypeVar, cast

import strawberry

from domain import ids, tables
from domain.vocabulary import AttemptOutcome, HttpMethod
from schema.context import Context, Info
from schema.nodes import Node, shows
from schema.webhooks import HttpHeader

T = TypeVar("T")


@shows(tables.Attempt)
@strawberry.type(description="One try of a delivery, as it went.")
class Attempt(Node):
    number: int = strawberry.field(description="Which try of its delivery it was, from 1.")
    started_at: datetime = strawberry.field(description="When it began.")
    duration_ms: int = strawberry.field(description="How long it took, in milliseconds.")
    outcome: AttemptOutcome = strawberry.field(description="How it ended.")
    error: str | None = strawberry.field(
        description="What went wrong, in a sentence for a person; null if nothing did."
    )
    response_status: int | None = strawberry.field(description="The status of the answer; null if none came.")
    delivery_key: strawberry.Private[int]
    row: strawberry.Private[tables.Attempt | None] = None

    @classmethod
    def of(cls, row: tables.Attempt) -> Self:
        return cls(
            id=strawberry.ID(ids.make("Attempt", f"{row.delivery_id}.{row.number}")),
            number=row.number,
            started_at=row.started_at,
            duration_ms=row.duration_ms,
            outcome=row.outcome,
            error=row.error,
            response_status=row.response_status,
            delivery_key=row.delivery_id,
            row=row,
        )

    @classmethod
    def seen(cls, delivery_key: int, data: dict[str, Any]) -> Self:
        """The attempt as a live change describes it."""
        return cls(
            id=strawberry.ID(ids.make("Attempt", f"{delivery_key}.{data['number']}")),
            number=data["number"],
            started_at=datetime.fromisoformat(data["started_at"]),
            duration_ms=data["duration_ms"],
            outcome=AttemptOutcome(data["outcome"]),
            error=data["error"],
            response_status=data["response_status"],
            delivery_key=delivery_key,
        )

    @strawberry.field(
        description="Where the request went, in normal form, at most 2,048 characters of it; of an attempt that was "
        "interrupted, the callback URL. Empty, as are headers and body, where an old change of the live stream tells "
        "of an attempt that is no longer kept; its method is then said to be POST."
    )
    def request_url(self, info: Info) -> str:
        return self._read(info.context, lambda row: row.request_url)

    @strawberry.field(description="The method of the request.")
    def request_method(self, info: Info) -> HttpMethod:
        return self._read(info.context, lambda row: row.request_method)

    @strawberry.field(
        description="The headers of the request; none if its worker died. Values that look like secrets are hidden."
    )
    def request_headers(self, info: Info) -> list[HttpHeader]:
        return self._read(info.context, lambda row: _headers(row.sent))

    @strawberry.field(description="The headers of the answer; none if no answer came.")
    def response_headers(self, info: Info) -> list[HttpHeader]:
        return self._read(info.context, lambda row: _headers(row.answered))

    @strawberry.field(
        description="How the body of the answer begins: its first 16 KiB at most. Null if no answer came, and once "
        "it is older than bodies are kept (7 days, unless the operator sets another time)."
    )
    def response_body(self, info: Info) -> str | None:
        return self._read(info.context, lambda row: row.response_body)

    @strawberry.field(description="Whether the answer went on after what was kept of it.")
    def response_truncated(self, info: Info) -> bool:
        return self._read(info.context, lambda row: row.response_truncated)

    def _read(self, context: Context, read: Callable[[tables.Attempt], T]) -> T:
        if self.row is not None:
            return read(self.row)
        # GraphQL awaits what is awaitable; a plain value costs no task.
        return cast("T", self._load(context, read))

    async def _load(self, context: Context, read: Callable[[tables.Attempt], T]) -> T:
        # A change may outlive its attempt. An error here would lose what the change itself says of it.
        return read(await load(context, self.delivery_key, self.number) or _no_longer_kept())


async def load(context: Context, delivery_key: int, number: int) -> tables.Attempt | None:
    """The attempt with this number; None if there is none in this workspace."""
    rows = await context.loaders.attempts.load(delivery_key)
    return next((row for row in rows if row.number == number), None)


def _no_longer_kept() -> tables.Attempt:
    return tables.Attempt(request_url="", request_method=HttpMethod.POST, request_headers="[]")


def _headers(read: list[tuple[str, str]]) -> list[HttpHeader]:
    return [HttpHeader(name=name, value=value) for name, value in read]
