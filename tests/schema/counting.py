"""Counting the statements that reach the database."""

import logging
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Self

_counting: ContextVar[logging.Handler | None] = ContextVar("counting", default=None)


class Counter(logging.Handler):
    """The statements that the block sends through Tortoise, including those of tasks it begins, not of earlier tasks.

    The outlet may still be busy with an earlier commit: the first change of a workspace queries the database.
    """

    def __init__(self) -> None:
        super().__init__()
        self.statements: list[str] = []
        self._logger = logging.getLogger("tortoise.db_client")
        self._level = logging.NOTSET
        self._before: Token[logging.Handler | None]

    def emit(self, record: logging.LogRecord) -> None:
        if _counting.get() is self:
            self.statements.append(record.getMessage())

    def __enter__(self) -> Self:
        self._level = self._logger.level
        self._logger.setLevel(logging.DEBUG)
        self._logger.addHandler(self)
        self._before = _counting.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _counting.reset(self._before)
        self._logger.removeHandler(self)
        self._logger.setLevel(self._level)
