"""What a feed remembers for subscribers that resume."""

import sys
from bisect import bisect_right
from collections.abc import Callable

# The most that one feed remembers: the usual reconnect finds all that it missed here.
RECENT_CHANGES = 2_000
RECENT_BYTES = 4 * 1024 * 1024
# One token may have 100,000 different subscriptions: if there are many feeds, each remembers less.
RECENT_BYTES_IN_ALL = 64 * 1024 * 1024

# What a change takes beside its text: where it stands in the stream, and its places in two lists.
PLACE_BYTES = 136

# Where a change stands in the stream (domain/live.py, order_of).
Position = tuple[int, int]
Encoded = tuple[Position, str]


class Recent:
    """The last changes of a feed: all of them after `start`, oldest first."""

    def __init__(self, share: Callable[[], int] = lambda: RECENT_BYTES) -> None:
        """`share` tells how many bytes these may take, which changes as feeds come and go."""
        self._share = share
        self.start: Position = (0, 0)
        self._orders: list[Position] = []
        self._payloads: list[str] = []
        self._bytes = 0

    def after(self, order: Position) -> list[Encoded]:
        """What came after this place, which must not be before `start`."""
        missed = bisect_right(self._orders, order)
        return list(zip(self._orders[missed:], self._payloads[missed:], strict=True))

    def has_room_for(self, changes: int, size: int) -> bool:
        """Whether so many more changes, of this size together, can be remembered."""
        return len(self._orders) + changes <= RECENT_CHANGES and self._bytes + size <= self._share()

    def add(self, order: Position, payload: str) -> None:
        """Remember the newest change; while these are too many or too large, forget their older half."""
        self._orders.append(order)
        self._payloads.append(payload)
        self._bytes += size_of(payload)
        while len(self._orders) > RECENT_CHANGES or self._bytes > self._share():
            half = max(1, len(self._orders) // 2)
            self.start = self._orders[half - 1]
            self._bytes -= sum(map(size_of, self._payloads[:half]))
            del self._orders[:half], self._payloads[:half]

    def add_before(self, start: Position, found: list[Encoded]) -> None:
        """Remember what lies between a new start and the old one."""
        self._orders[:0] = [order for order, _ in found]
        self._payloads[:0] = [payload for _, payload in found]
        self._bytes += sum(size_of(payload) for _, payload in found)
        self.start = start


def share_of(feeds: int) -> int:
    """How many bytes each of so many feeds may remember."""
    return min(RECENT_BYTES, RECENT_BYTES_IN_ALL // max(1, feeds))


def size_of(payload: str) -> int:
    """How many bytes a remembered change takes. In a text with an emoji, each character takes four."""
    return sys.getsizeof(payload) + PLACE_BYTES
