"""What is kept between the tries of one post on one account: when, how often, and what its network remembers. Pure."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

# A network that has not taken a post in this time will not take it soon.
GIVE_UP_AFTER = timedelta(hours=24)
# Includes tries whose worker died, so that a post that kills its worker comes to an end.
MOST_TRIES = 60
SHORTEST_WAIT = timedelta(seconds=5)
LONGEST_BACKOFF = timedelta(hours=1)
# The longest wait that a network may ask for.
LONGEST_WAIT = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Tries:
    """How often and since when it was tried; `memory` is the provider's progress."""

    count: int = 0
    since: datetime | None = None
    not_before: datetime | None = None
    memory: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, stored: dict[str, Any]) -> "Tries":
        """From the column `progress`."""
        return cls(
            count=stored.get("count", 0),
            since=_moment(stored.get("since")),
            not_before=_moment(stored.get("not_before")),
            memory=stored.get("memory", {}),
        )

    def stored(self) -> dict[str, Any]:
        """For the column `progress`."""
        return {
            "count": self.count,
            "since": self.since.isoformat() if self.since else None,
            "not_before": self.not_before.isoformat() if self.not_before else None,
            "memory": self.memory,
        }

    def is_due(self, now: datetime) -> bool:
        return self.not_before is None or self.not_before <= now

    def begun(self, now: datetime) -> "Tries":
        """One more try is about to be made."""
        return replace(self, count=self.count + 1, since=self.since or now)

    def is_over(self, now: datetime) -> bool:
        """Whether it has been tried for long enough."""
        return self.count >= MOST_TRIES or (self.since is not None and now - self.since >= GIVE_UP_AFTER)

    def deferred(self, now: datetime, wish: timedelta) -> "Tries":
        """To be tried again after the wait that the network asks for, but no sooner than one that doubles each time."""
        backoff = min(SHORTEST_WAIT * 2 ** min(self.count - 1, 20), LONGEST_BACKOFF)
        return replace(self, not_before=now + min(max(wish, backoff), LONGEST_WAIT))

    def renewed(self) -> "Tries":
        """From the start again, because a person asked; the memory stays, so that no second post is made."""
        return Tries(memory=self.memory)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
