"""A clock of this process that is wrong, while the database's is right."""

from datetime import datetime, timedelta, tzinfo
from typing import Any

import pytest


def shift(monkeypatch: pytest.MonkeyPatch, module: str, ahead: timedelta) -> None:
    """Until the test ends, `datetime.now` is this much ahead for the code of that module, which imports `datetime`."""

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + ahead

    monkeypatch.setattr(f"{module}.datetime", Shifted)
