"""From an argument to what a verb of the domain takes."""

from typing import TypeVar

import strawberry

from domain.vocabulary import UNSET, Unset

T = TypeVar("T")


def given(value: T) -> T | Unset:
    """The value, or the domain's word for one that was left out."""
    return UNSET if value is strawberry.UNSET else value
