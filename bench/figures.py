"""What a measurement says, and what it should say."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """One row of the table. `aim` is None if the row is for information."""

    name: str
    value: float
    unit: str
    what: str
    aim: float | None = None
    better: Literal["higher", "lower"] = "lower"

    @property
    def reached(self) -> bool:
        """Whether the aim is met."""
        if self.aim is None:
            return True
        return self.value >= self.aim if self.better == "higher" else self.value <= self.aim


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile; `share` from 0 to 1."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]
