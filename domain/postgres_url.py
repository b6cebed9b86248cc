"""What the URL of a PostgreSQL says: where it is, how one gets in, and what a session there has."""

import ssl
from collections.abc import Mapping
from typing import Any

from domain.errors import Misconfigured
from domain.server_url import Form

URL = Form(
    "HOOKLINE_DATABASE_URL",
    "postgresql://user:password@host:5432/database",
    schemes=frozenset({"postgres", "postgresql"}),
    parameters=frozenset({"host", "pgbouncer", "sslmode", "sslrootcert"}),
)
# libpq's; the last three want TLS, and check certificates where it is known against which.
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# A statement of ours that takes longer than this is a fault, not a load; those of migrations may take any time.
STATEMENT_TIMEOUT_MS = 30_000
# What a session of ours has, whatever the server and the role say.
SESSION = {
    # Every statement of ours has an index to go by. A planner whose statistics are old, or that believes in disks that
    # seek, reads whole tables for a few rows: recording 200 attempts took 14 ms instead of 3.
    "enable_seqscan": "off",
    "random_page_cost": "1.1",
    # What claims and counts at once waits for the other, and then sees what it did; any stricter kind refuses instead.
    "default_transaction_isolation": "read committed",
}


def place(url: str, timeout_ms: int = STATEMENT_TIMEOUT_MS) -> dict[str, Any]:
    """Where a server is, how one gets in and what a session has, from its URL, as `asyncpg.connect` takes it.

    Raises Misconfigured.
    """
    at = URL.parse(url)
    if not (name := at.path.strip("/")):
        raise URL.refused()
    return {
        **_session(timeout_ms, pooled=is_pooled(url)),
        # As in libpq, ?host=/folder names a folder with a unix socket.
        "host": at.parameters.get("host") or at.host or "localhost",
        "port": at.port or 5432,
        "user": at.user or "postgres",
        "password": at.password,
        "database": name,
        "ssl": _tls(at.parameters),
        "timeout": 5,
    }


def is_pooled(url: str) -> bool:
    """Whether a URL says that a pooler stands before the server. Raises Misconfigured."""
    said = URL.parse(url).parameters.get("pgbouncer", "false")
    if said not in {"true", "false"}:
        raise Misconfigured("HOOKLINE_DATABASE_URL: pgbouncer must be true or false.")
    return said == "true"


def _session(timeout_ms: int, *, pooled: bool) -> dict[str, Any]:
    if pooled:
        # It refuses all but the name, and may give each transaction another session: nothing is prepared for later.
        return {"server_settings": {"application_name": "hookline"}, "statement_cache_size": 0}
    return {"server_settings": {"application_name": "hookline", "statement_timeout": str(timeout_ms), **SESSION}}


def _tls(parameters: Mapping[str, str]) -> str | ssl.SSLContext | None:
    mode, authorities = parameters.get("sslmode"), parameters.get("sslrootcert")
    if mode is not None and mode not in SSL_MODES:
        raise Misconfigured(f"HOOKLINE_DATABASE_URL: sslmode must be one of {', '.join(SSL_MODES)}.")
    if authorities is None:
        if mode in SSL_MODES[4:]:
            raise Misconfigured(f"HOOKLINE_DATABASE_URL: sslmode={mode} needs sslrootcert, a file with certificates.")
        return mode
    if mode not in SSL_MODES[3:]:
        raise Misconfigured(f"HOOKLINE_DATABASE_URL: sslrootcert needs an sslmode of {', '.join(SSL_MODES[3:])}.")
    # As asyncpg makes it where it is given a whole URL, which Tortoise does not let through.
    context = URL.trusting("sslrootcert", authorities)
    context.check_hostname = mode == "verify-full"
    return context
