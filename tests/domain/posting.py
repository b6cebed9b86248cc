"""What people do with posts besides writing them, and what is announced of it."""

from datetime import UTC, datetime, timedelta

from domain import posts
from domain.tables import Post, PostChange
from domain.unit import Actor, Domain
from domain.vocabulary import PostStatus
from tests.domain.doing import names

# Counted from when the tests were loaded: it stays in the future, however long they take.
SOON = datetime.now(UTC) + timedelta(hours=12)
LATER = SOON + timedelta(hours=1)


async def schedule(domain: Domain, actor: Actor, post_id: int, at: datetime) -> Post:
    async with domain.unit(actor) as unit:
        return await posts.schedule(unit, post_id, at)


async def delete(domain: Domain, actor: Actor, *post_ids: int, to_trash: bool = False) -> list[int]:
    async with domain.unit(actor) as unit:
        return await posts.delete(unit, list(post_ids), to_trash)


async def told() -> list[str]:
    """The events about posts so far."""
    return [name for name in await names() if name.startswith("post.")]


async def live() -> list[tuple[int, str]]:
    """Number and status of every change of a post's status."""
    return [(row.change, row.snapshot["status"]) for row in await PostChange.all().order_by("id")]


async def put_in_state(post: Post, status: PostStatus) -> None:
    await Post.filter(id=post.id).update(status=status)
