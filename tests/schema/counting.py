"""Counting the statements that reach the database."""

import logging
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Self

_counting: ContextVar[logging.Handler | None] = ContextVar("counting", default=None)


class Counter(logging.Handler):
    """The statements that the block sends through Tortoise, by tasks of its own too, and none of tasks begun before.

    The outlet may be busy still with what was committed before: the first change of a workspace asks the database.
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
