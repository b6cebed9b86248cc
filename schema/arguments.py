"""Turns arguments into what the domain's functions take."""

from typing import TypeVar

import strawberry

from domain.vocabulary import UNSET, Unset

T = TypeVar("T")


def given(value: T) -> T | Unset:
    """The value, or the domain's UNSET if it was left out."""
    return UNSET if value is strawberry.UNSET else value
