"""What is on its way to one client: bounded, so that a slow client does not fill our memory."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

# The bounds of what the client has not taken yet. In memory, a character takes one to four bytes.
MOST_FRAMES: Final = 1_000
MOST_CHARACTERS: Final = 4 * 1024 * 1024
# A client has stalled if its connection takes nothing for this long.
SEND_SECONDS: Final = 10.0
# The ASGI extension of api/uvicorn_protocols.py: {"write": (text) -> whether it was written}.
WRITE_NOW: Final = "hookline.write_now"
# And that of a request: {"cut": () -> None}, which ends its connection without waiting until the client has read.
CUT: Final = "hookline.cut"


class Outbox:
    """A queue of frames with one taker. `put` never waits; beyond the bounds it refuses."""

    def __init__(self, write_now: Callable[[str], bool] | None = None) -> None:
        self._write_now = write_now
        self._frames: deque[str] = deque()
        # Each frame counts for half of the bound at most.
        self._characters = 0
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._refused = False
        # When the sending of the current frame began, by the event loop's clock; None while nothing is being sent.
        self.sending_since: float | None = None

    def put(self, frame: str) -> bool:
        """Take one frame for sending; False if the client is too far behind, and for every frame after that one."""
        # A smaller frame might find room, but then the client would resume after it, and miss the one that was refused.
        if self._refused:
            return False
        if self._write_now and not self._frames and self.sending_since is None and self._write_now(frame):
            return True
        if len(self._frames) >= MOST_FRAMES or self._characters + _weight(frame) > MOST_CHARACTERS:
            self._refused = True
            return False
        self._frames.append(frame)
        self._characters += _weight(frame)
        self._filled.set()
        return True

    async def take(self) -> str:
        """The next frame, as soon as there is one."""
        while not self._frames:
            self._emptied.set()
            self._filled.clear()
            await self._filled.wait()
        frame = self._frames.popleft()
        self._characters -= _weight(frame)
        if len(self._frames) * 2 <= MOST_FRAMES and self._characters * 2 <= MOST_CHARACTERS:
            self._emptied.set()
        return frame

    def give_back(self, frame: str) -> None:
        """Keep a frame that was taken and not sent: nothing after it may leave before it does."""
        self._frames.appendleft(frame)
        self._characters += _weight(frame)

    async def room(self) -> None:
        """Returns once it is at most half full."""
        while len(self._frames) * 2 > MOST_FRAMES or self._characters * 2 > MOST_CHARACTERS:
            self._emptied.clear()
            await self._emptied.wait()

    def rest(self) -> list[str]:
        """All that is left, taken at once."""
        frames = list(self._frames)
        self._frames.clear()
        self._characters = 0
        return frames

    def has_stalled(self, now: float) -> bool:
        """Whether the frame that is being sent has been for too long."""
        return self.sending_since is not None and now - self.sending_since > SEND_SECONDS


def _weight(frame: str) -> int:
    # An answer that is large in itself says nothing of how fast its client reads: where there is `room`, it fits.
    return min(len(frame), MOST_CHARACTERS // 2)
