"""What a PostgreSQL URL says: where the server is, how to log in, and which settings its sessions have."""

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
# libpq's modes. The last three require TLS, and check certificates if sslrootcert says against which.
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# A statement that takes longer than this is a fault, not a load. Migrations may take any time.
STATEMENT_TIMEOUT_MS = 30_000
# Settings of each of our sessions, whatever the server and the role have.
SESSION = {
    # Every statement has an index to use. With old statistics, or with the default costs of disks that seek, a planner
    # reads whole tables for a few rows: recording 200 attempts took 14 ms instead of 3.
    "enable_seqscan": "off",
    "random_page_cost": "1.1",
    # Concurrent claims and counts wait for each other, and then see the other's changes. A stricter level refuses one.
    "default_transaction_isolation": "read committed",
}


def place(url: str, timeout_ms: int = STATEMENT_TIMEOUT_MS) -> dict[str, Any]:
    """The server, the credentials and the session's settings, from a URL, as arguments of `asyncpg.connect`.

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
    """Whether a URL says that a pooler is in front of the server. Raises Misconfigured."""
    said = URL.parse(url).parameters.get("pgbouncer", "false")
    if said not in {"true", "false"}:
        raise Misconfigured("HOOKLINE_DATABASE_URL: pgbouncer must be true or false.")
    return said == "true"


def _session(timeout_ms: int, *, pooled: bool) -> dict[str, Any]:
    if pooled:
        # A pooler refuses all settings but the name, and may give each transaction another session: statements that
        # are prepared in one would be missing in the next.
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
    # As asyncpg makes it from a whole URL, which Tortoise does not pass on.
    context = URL.trusting("sslrootcert", authorities)
    context.check_hostname = mode == "verify-full"
    return context
