"""A network in this process, posts that are due on it, and what became of them."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from domain.providers.interface import (
    BadInput,
    Caller,
    NewCredentials,
    Profile,
    Publication,
    Published,
    PublishResult,
    TextMeasure,
)
from domain.providers.sandbox import Sandbox
from domain.tables import Post, PostAccount
from domain.unit import Actor, Domain
from domain.vocabulary import PostStatus, Provider
from tests.domain.doing import add_account, publish, write
from workers.publish import Publisher


@dataclass
class Network:
    """A network in this process: it keeps posts by their keys. If a test sets `before`, it does that first."""

    name: Provider = Provider.SANDBOX
    posted: list[tuple[str, str]] = field(default_factory=list)
    asked: int = 0
    before: Callable[[Publication], Coroutine[Any, Any, PublishResult | None]] | None = None

    def faults_of(self, new: NewCredentials) -> list[BadInput]:
        return Sandbox().faults_of(new)

    async def check(self, caller: Caller, new: NewCredentials) -> Profile:
        return await Sandbox().check(caller, new)

    def measure(self, text: str, account_data: dict[str, Any]) -> TextMeasure:
        return Sandbox().measure(text, account_data)

    async def publish(self, caller: Caller, publication: Publication) -> PublishResult:
        self.asked += 1
        if self.before and (result := await self.before(publication)):
            return result
        if publication.key not in [key for key, _ in self.posted]:
            self.posted.append((publication.key, publication.text))
        return Published("1", "https://network.example/1", {"session": self.asked})


async def publish_due(domain: Domain) -> None:
    """One step of the worker's loop, to its end."""
    async with Publisher(domain).running() as publisher:
        await publisher.take_due()


async def ready(domain: Domain, admin: Actor, *servers: str) -> Post:
    """A post that is due on one account for each of these behaviours."""
    on = [await add_account(domain, admin, server) for server in servers]
    return await publish(domain, admin, (await write(domain, admin, *on)).id)


async def entries_of(post: Post) -> list[PostAccount]:
    return await PostAccount.filter(post_id=post.id).order_by("id")


async def status_of(post: Post) -> PostStatus:
    return (await Post.get(id=post.id)).status
