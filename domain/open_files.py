"""How many files a process may have open. Every socket is one, and many machines allow 256 or 1,024 by default."""

import resource

# What macOS accepts if it says that there is no limit.
OPEN_MAX = 10_240


def allow_many() -> None:
    """Raise the limit as far as this process may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_MAX if most == resource.RLIM_INFINITY else most
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
