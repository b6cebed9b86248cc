"""What went wrong, in a sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from tortoise.exceptions import BaseORMException

from cli.ailments import words_of
from domain.database import OUT_OF_REACH
from domain.errors import Unavailable


@contextmanager
def of_the_database() -> Iterator[None]:
    """Turns an error of PostgreSQL, or of the connection to it, into Unavailable with the words of that error."""
    try:
        yield
    except (*OUT_OF_REACH, asyncpg.PostgresError) as error:
        raise _said(error) from error
    except BaseORMException as error:
        if not isinstance(error.__cause__, asyncpg.PostgresError):
            raise
        raise _said(error.__cause__) from error
    except Unavailable as error:
        if not isinstance(error.__cause__, OUT_OF_REACH):
            raise
        # Its own message is for clients of the API.
        raise _said(error.__cause__) from error


def _said(error: BaseException) -> Unavailable:
    return Unavailable(f"The database cannot be used: {words_of(error)}. `hookline doctor` says what to do.")
