"""What one operation carries with it."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import strawberry

from domain.unit import Actor, Domain, Unit
from schema.loaders import Loaders


@dataclass
class Context:
    """Who asks, the domain that answers, and the request's id. Each operation and each live change has its own."""

    domain: Domain
    actor: Actor
    request_id: str = ""
    loaders: Loaders = field(init=False)

    def __post_init__(self) -> None:
        self.forget()

    @property
    def workspace_id(self) -> int:
        """The only workspace whose rows this operation may see."""
        key: int = self.actor.workspace.id
        return key

    def unit(self) -> AbstractAsyncContextManager[Unit]:
        """One transaction, and what is sent after it."""
        return self.domain.unit(self.actor)

    def forget(self) -> None:
        """Forget the rows that were read, so that reads after a change see it."""
        self.loaders = Loaders(self.actor.workspace.id)


Info = strawberry.Info[Context, None]
