"""Limits how many files this process, and those it starts, may have open."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

# The default of some machines.
FEW_FILES = 256


@contextmanager
def few_files(most: int = FEW_FILES) -> Iterator[None]:
    """While the block lasts, this process may have at most `most` files open. Processes started within inherit this."""
    before, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, allowed))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, allowed))
