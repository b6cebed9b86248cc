"""What went wrong, in a sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from domain.database import OUT_OF_REACH
from domain.errors import Unavailable


@contextmanager
def of_the_database() -> Iterator[None]:
    """Raises Unavailable with PostgreSQL's own words for whatever it, or the way to it, refuses."""
    try:
        yield
    except (*OUT_OF_REACH, asyncpg.PostgresError) as error:
        raise Unavailable(f"The database cannot be used: {str(error) or type(error).__name__}.") from error
