"""Lanes: how much each webhook may send at once, so that one slow receiver does not hold up the others.

Each webhook has a lane. Its width grows with each success and halves when the endpoint cannot be reached, so an
endpoint that hangs soon holds one place. All lanes together have a fixed number of places; if those are scarce,
workspaces take turns. A delivery that gets no place stays in the database, unclaimed, and its lane becomes hungry.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from domain.deliveries import Room
from domain.health import UNREACHABLE
from domain.queue import Owed
from domain.vocabulary import AttemptOutcome

FIRST_WIDTH = 10
# How many places a lane takes before the next workspace has its turn.
TURN = 10
# If less than this share of the places is free, a lane may hold fewer, and far fewer the scarcer they are: hundreds of
# endpoints that hang must not take the last places from those that answer.
SCARCE = 0.5
# Above this many lanes, each one that becomes idle is forgotten, even if it is narrowed: webhooks come and go.
MOST_REMEMBERED = 10_000


@dataclass(slots=True)
class Lane:
    """The places of one webhook in this worker."""

    webhook_id: int
    workspace_id: int
    width: int
    taken: int = 0
    # Whether it became hungry again after the database was last asked what is due for it.
    hungry_again: bool = False


class Lanes:
    """All lanes of one worker process."""

    def __init__(self, places: int, widest: int) -> None:
        """At most `places` attempts at once in all, and `widest` to one webhook."""
        self._places = places
        self._free = places
        self._widest = widest
        self._lanes: dict[int, Lane] = {}
        # Lanes with more to do than they had room for, by workspace, each workspace's in the order of their turns.
        self._hungry: dict[int, dict[int, Lane]] = {}
        self.room_for_hungry = asyncio.Event()

    @property
    def free(self) -> int:
        """How many places are free; negative if more were squeezed in than there are."""
        return self._free

    @property
    def open(self) -> int:
        """Lanes that are in use, or remembered."""
        return len(self._lanes)

    def admit(self, owed: Iterable[Owed]) -> list[Owed]:
        """Take places for as many of these as there is room; the lanes of the others become hungry."""
        admitted = []
        for item in owed:
            lane = self._lane(item.webhook_id, item.workspace_id)
            if self._take(lane, 1):
                admitted.append(item)
            else:
                self._starve(lane)
        return admitted

    def squeeze_in(self, webhook_id: int, workspace_id: int) -> None:
        """Take a place for a delivery that was claimed without one, even if none is free."""
        self._lane(webhook_id, workspace_id).taken += 1
        self._free -= 1

    def release(self, webhook_id: int, places: int = 1) -> None:
        """Give places back."""
        lane = self._lanes[webhook_id]
        lane.taken -= places
        self._free += places
        self._forget_if_idle(lane)
        if self._hungry:
            self.room_for_hungry.set()

    def learn(self, webhook_id: int, outcome: AttemptOutcome) -> None:
        """Widen or narrow a lane by how an attempt went."""
        lane = self._lanes[webhook_id]
        if outcome is AttemptOutcome.SUCCEEDED:
            lane.width = min(lane.width + 1, self._widest)
        elif outcome in UNREACHABLE:
            lane.width = max(lane.width // 2, 1)

    def wanting(self, webhook_id: int, workspace_id: int) -> None:
        """The database has something due for this webhook."""
        self._starve(self._lane(webhook_id, workspace_id))
        self.room_for_hungry.set()

    def seat_hungry(self) -> list[Room]:
        """Take places for hungry lanes, with the workspaces in turn; returns what each webhook got."""
        rooms: dict[int, Room] = {}
        found = True
        while found and self._free:
            found = False
            for workspace_id in list(self._hungry):
                room = self._seat_one_of(workspace_id)
                if room:
                    found = True
                    # To the end of the row, for later calls too: if places come free one by one, each call seats one.
                    self._hungry[workspace_id] = self._hungry.pop(workspace_id)
                    before = rooms.get(room.webhook_id)
                    rooms[room.webhook_id] = Room(room.webhook_id, room.places + (before.places if before else 0))
        return list(rooms.values())

    def sated(self, webhook_id: int) -> None:
        """The database had no more due for this webhook: its lane stays hungry only if it became so again meanwhile."""
        lane = self._lanes.get(webhook_id)
        if lane is not None and not lane.hungry_again:
            waiting = self._hungry.get(lane.workspace_id, {})
            waiting.pop(webhook_id, None)
            if not waiting:
                self._hungry.pop(lane.workspace_id, None)
            self._forget_if_idle(lane)

    def seat_probes(self, webhooks: Sequence[tuple[int, int]]) -> list[Room]:
        """Take one place for each of these (webhook_id, workspace_id), as far as there is room."""
        rooms = []
        for webhook_id, workspace_id in webhooks:
            lane = self._lane(webhook_id, workspace_id)
            if self._take(lane, 1):
                rooms.append(Room(webhook_id, 1, probe=True))
            else:
                self._forget_if_idle(lane)
        return rooms

    def _seat_one_of(self, workspace_id: int) -> Room | None:
        """Take up to TURN places for the workspace's first hungry lane that has room, and move this lane to the end."""
        waiting = self._hungry[workspace_id]
        for lane in waiting.values():
            if places := self._take(lane, TURN):
                break
        else:
            return None
        waiting[lane.webhook_id] = waiting.pop(lane.webhook_id)
        lane.hungry_again = False
        return Room(lane.webhook_id, places)

    def _take(self, lane: Lane, wanted: int) -> int:
        fair = max(int(self._widest * (self._free / (self._places * SCARCE)) ** 3), 1)
        places = max(min(wanted, min(lane.width, fair) - lane.taken, self._free), 0)
        lane.taken += places
        self._free -= places
        return places

    def _lane(self, webhook_id: int, workspace_id: int) -> Lane:
        lane = self._lanes.get(webhook_id)
        if lane is None:
            lane = self._lanes[webhook_id] = Lane(webhook_id, workspace_id, min(FIRST_WIDTH, self._widest))
        return lane

    def _forget_if_idle(self, lane: Lane) -> None:
        is_hungry = lane.webhook_id in self._hungry.get(lane.workspace_id, {})
        # A narrowed lane is kept, to remember that its endpoint could not be reached.
        is_as_new = lane.width >= min(FIRST_WIDTH, self._widest)
        if not lane.taken and not is_hungry and (is_as_new or len(self._lanes) > MOST_REMEMBERED):
            del self._lanes[lane.webhook_id]

    def _starve(self, lane: Lane) -> None:
        lane.hungry_again = True
        self._hungry.setdefault(lane.workspace_id, {}).setdefault(lane.webhook_id, lane)
