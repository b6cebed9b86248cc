"""A file that never blocks its writers: a thread writes to it, and lines are dropped if nobody reads for long."""

import os
import select
import threading
from typing import TextIO

# In characters: some thousand lines, for a terminal stopped by Ctrl-S or a pager that waits for a key.
MOST_WAITING = 1024 * 1024


class Aside:
    """Writes to `file` in its own thread, so `write` never waits. After the thread gets an OSError, `write` raises it.

    If more than MOST_WAITING characters are waiting, later lines are dropped, and a line in their place says how many.
    """

    def __init__(self, file: TextIO) -> None:
        self.encoding = file.encoding
        self._file = file
        self._waiting: list[str] = []
        self._characters = 0
        self._left_out = 0
        self._is_writing = False
        self._error: OSError | None = None
        self._changed = threading.Condition()
        # A daemon, so the process can end without it: a reader that does not read then never will.
        threading.Thread(target=self._write_forever, daemon=True).start()

    def fileno(self) -> int:
        """See io."""
        return self._file.fileno()

    def isatty(self) -> bool:
        """See io."""
        return self._file.isatty()

    def flush(self) -> None:
        """See io. The thread does it."""

    def write(self, text: str) -> int:
        """See io."""
        with self._changed:
            if self._error:
                raise self._error
            if self._left_out or self._characters + len(text) > MOST_WAITING:
                self._left_out += text.count("\n")
            else:
                self._waiting.append(text)
                self._characters += len(text)
            self._changed.notify_all()
        return len(text)

    def settle(self, seconds: float) -> None:
        """Wait until all is written, but no longer than this."""
        with self._changed:
            self._changed.wait_for(lambda: self._error or not (self._waiting or self._is_writing), seconds)

    def _write_forever(self) -> None:
        while True:
            data = self._next().encode(self.encoding, "backslashreplace")
            try:
                self._write(data)
            except OSError as error:
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                return

    def _next(self) -> str:
        """The text to write next; waits until there is some."""
        with self._changed:
            self._is_writing = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting)
            texts, self._waiting, self._characters = self._waiting, [], 0
            if self._left_out:
                texts.append(f"... {self._left_out:,} lines were dropped here: the output was not being read.\n")
                self._left_out = 0
            self._is_writing = True
            return "".join(texts)

    def _write(self, data: bytes) -> None:
        # Not through Python's file object: a thread that is inside it when the process ends is a fatal error.
        while data:
            try:
                data = data[os.write(self.fileno(), data) :]
            except BlockingIOError:
                # The process that started us shares this file, and has made it non-blocking.
                select.select([], [self.fileno()], [])
