"""A process, or what it starts, with few files that it may have open."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

# With which some machines begin.
FEW_FILES = 256


@contextmanager
def few_files(most: int = FEW_FILES) -> Iterator[None]:
    """As long as the block lasts, this process may open no more; what is started within it begins so."""
    before, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, allowed))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, allowed))
