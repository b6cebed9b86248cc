"""Counting the statements that reach the database."""

import logging
from types import TracebackType
from typing import Self


class Counter(logging.Handler):
    """The statements that Tortoise sends while the block lasts."""

    def __init__(self) -> None:
        super().__init__()
        self.statements: list[str] = []
        self._logger = logging.getLogger("tortoise.db_client")
        self._level = logging.NOTSET

    def emit(self, record: logging.LogRecord) -> None:
        self.statements.append(record.getMessage())

    def __enter__(self) -> Self:
        self._level = self._logger.level
        self._logger.setLevel(logging.DEBUG)
        self._logger.addHandler(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._logger.removeHandler(self)
        self._logger.setLevel(self._level)
