"""Posts: written, scheduled, published, deleted. The worker's side is in publishing.py."""

from dataclasses import dataclass
from datetime import datetime

from domain.providers.interface import TextMeasure
from domain.tables import Post, Workspace
from domain.unit import Unit
from domain.vocabulary import UNSET, Unset


@dataclass(frozen=True, slots=True)
class Variant:
    """What one account says instead of the post's body."""

    account_id: int
    body: str


@dataclass(frozen=True, slots=True)
class NewPost:
    """What a person asks for; a draft where scheduled_at is None."""

    body: str
    account_ids: tuple[int, ...] = ()
    variants: tuple[Variant, ...] = ()
    scheduled_at: datetime | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class PostChanges:
    """UNSET stays as it is; None is a fault but for scheduled_at (back to a draft) and variants (none)."""

    body: str | None | Unset = UNSET
    account_ids: tuple[int, ...] | None | Unset = UNSET
    variants: tuple[Variant, ...] | None | Unset = UNSET
    scheduled_at: datetime | None | Unset = UNSET


async def create(unit: Unit, new: NewPost) -> Post:
    raise NotImplementedError


async def update(unit: Unit, post_id: int, changes: PostChanges) -> Post:
    raise NotImplementedError


async def schedule(unit: Unit, post_id: int, scheduled_at: datetime) -> Post:
    raise NotImplementedError


async def publish(unit: Unit, post_id: int) -> Post:
    raise NotImplementedError


async def delete(unit: Unit, post_ids: list[int], to_trash: bool) -> list[int]:
    """Returns the ids that were deleted, in the order given, each once."""
    raise NotImplementedError


async def preview(workspace: Workspace, body: str, account_id: int) -> TextMeasure:
    raise NotImplementedError
