"""How many files a process may have open. Every socket is one, and many machines begin at 256 or 1,024."""

import resource

# What macOS takes where it says that there is no limit.
OPEN_MAX = 10_240


def allow_many() -> None:
    """As many as this process may ask for."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_MAX if most == resource.RLIM_INFINITY else most
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
