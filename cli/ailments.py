"""What is known to go wrong around Hookline, in words, each with its remedy."""

import errno
import re
import ssl
from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import asyncpg
from redis.exceptions import NoPermissionError, ResponseError

from domain import postgres_url
from domain.errors import Misconfigured
from domain.settings import Settings, variable_of

REMEDIES = (
    ("HOOKLINE_DATABASE_URL", "Set it to postgresql://user:password@host:5432/database; --data names a `hookline up`."),
    ("HOOKLINE_REDIS_URL", "Set it to redis://host:6379/0; --data names a `hookline up`."),
    (
        "HOOKLINE_SECRET_KEYS",
        "Make a key with `hookline keys generate`, give the same one to every process, and keep it with the backups.",
    ),
    ("HOOKLINE_LEASE", "Raise HOOKLINE_LEASE, or lower HOOKLINE_REQUEST_TIMEOUT."),
    ("HOOKLINE_SHUTDOWN_DEADLINE", "Raise it, or lower HOOKLINE_REQUEST_TIMEOUT."),
    ("HOOKLINE_TRACES_ENDPOINT is set", "Install the packages of requirements-traces.lock, or empty the variable."),
)
CORRECT_IT = "Correct it; docs/settings.md says what it may be."

# What servers and poolers answer, and the remedy for each.
ANSWERS = (
    ("rejected SSL upgrade", "Have it speak TLS (ssl = on), or leave sslmode out of HOOKLINE_DATABASE_URL."),
    ("unsupported startup parameter", "Add ?pgbouncer=true to HOOKLINE_DATABASE_URL."),
    (
        "not currently accepting connections",
        "Once the work it was closed for is done, run `ALTER DATABASE name ALLOW_CONNECTIONS true`.",
    ),
    ("statement pooling mode", "Have the pooler give a connection to each transaction (pool_mode = transaction)."),
)
# The first version that trims streams by age.
OLDEST_REDIS = (6, 2)
# As a share of maxmemory. Redis counts what clients have just sent, so a full one has a little room now and then.
FULL_REDIS = 0.98
MIB = 1024 * 1024
# The prefixes of all our keys; LIMITS: is that of the library `limits`.
REDIS_PLACES = ("hookline:", "arq:", "LIMITS:")
REDIS_SETTINGS = (
    ("appendonly", "yes", "what it holds is lost when Redis stops, and live updates start over"),
    ("maxmemory-policy", "noeviction", "it may throw away what is still needed"),
)

WITHOUT_REDIS = "deliveries are delayed, and live updates stop"
FOREIGN = (
    f"Redis serves another Hookline: {WITHOUT_REDIS}",
    "Have HOOKLINE_REDIS_URL name one of its own, or another number in it (redis://host:6379/1). If the other "
    "Hookline no longer exists, empty this one: `redis-cli -u URL FLUSHDB`.",
)
TRUSTS_NOBODY = (
    "no certificate authority is trusted on this machine: every delivery over HTTPS will fail",
    "Install the system's (a package `ca-certificates`), or have SSL_CERT_FILE name a file of them that can be read.",
)
ALLOW_IT = "Allow it: `ACL SETUSER name ~hookline:* ~arq:* ~LIMITS:* +@all -@admin -@dangerous +info` is enough."


def remedy_for_setting(fault: str) -> str:
    """What to do about a setting that is missing or makes no sense."""
    return next((remedy for variable, remedy in REMEDIES if fault.startswith(variable)), CORRECT_IT)


def remedy_for_name(variable: str) -> str:
    """What to do about a HOOKLINE_* variable that is no setting."""
    wrong = variable.removeprefix(variable_of("")).removesuffix("_FILE").lower()
    meant = get_close_matches(wrong, [field.name for field in fields(Settings)], n=1, cutoff=0.7)
    listed = "docs/settings.md lists all settings."
    return f"Did you mean {variable_of(meant[0])}? {listed}" if meant else f"Remove it; {listed}"


def remedy_for_listening(error: OSError) -> str:
    """What to do if the API may not listen on a port that is free."""
    if error.errno == errno.EACCES:
        return "Set HOOKLINE_PORT to 1024 or more, or let the process have a lower one (CAP_NET_BIND_SERVICE)."
    return "Set HOOKLINE_HOST to an address of this machine, or to 0.0.0.0 for all of them."


def trusts_anybody() -> bool:
    """Whether OpenSSL finds certificate authorities on this machine, to check the certificates of receivers."""
    if ssl.create_default_context().cert_store_stats()["x509_ca"]:
        return True
    # Certificates in a folder are not counted above: OpenSSL loads them only when it needs them.
    folder = ssl.get_default_verify_paths().capath
    return folder is not None and any(Path(folder).iterdir())


def of_postgres(error: Exception, url: str) -> tuple[str, str]:
    """What kept us from the database, and what to do."""
    match error:
        case Misconfigured():
            return str(error), CORRECT_IT
        case asyncpg.InvalidPasswordError() | asyncpg.InvalidAuthorizationSpecificationError():
            return words_of(error), "Correct the user and the password in HOOKLINE_DATABASE_URL."
        case asyncpg.InvalidCatalogNameError():
            return words_of(error), f"Make it (`createdb {postgres_url.place(url)['database']}`), or name another one."
        case asyncpg.TooManyConnectionsError():
            remedy = "Raise max_connections, or the limit of the role where one is named: each process takes up to 10."
            return f"PostgreSQL takes no more connections ({words_of(error)})", remedy
    for words, remedy in ANSWERS:
        if words in str(error):
            return words_of(error), remedy
    return _of_postgres_away(error, url)


def _of_postgres_away(error: Exception, url: str) -> tuple[str, str]:
    if doubt := _doubt_of(error):
        remedy = _name_authority("HOOKLINE_DATABASE_URL", "sslrootcert")
        return f"PostgreSQL's certificate is not trusted ({doubt})", remedy
    place = postgres_url.place(url)
    return (
        f"PostgreSQL does not answer at {place['host']}:{place['port']} ({words_of(error)})",
        "Start it (`hookline up` starts its own), or correct host and port in HOOKLINE_DATABASE_URL.",
    )


def of_redis_away(error: Exception) -> tuple[str, str]:
    """What kept us from Redis, and what to do."""
    if is_refused_command(error):
        return f"Redis refuses what is needed ({words_of(error)}): {WITHOUT_REDIS}", ALLOW_IT
    if doubt := _doubt_of(error):
        remedy = _name_authority("HOOKLINE_REDIS_URL", "ssl_ca_certs")
        return f"Redis's certificate is not trusted ({doubt}): {WITHOUT_REDIS}", remedy
    return (
        f"Redis does not answer ({words_of(error)}): {WITHOUT_REDIS}",
        "Start it (`hookline up` starts its own), or correct HOOKLINE_REDIS_URL: host, user and number, and rediss:// "
        "where it requires TLS.",
    )


def _doubt_of(error: BaseException) -> str | None:
    """What is wrong with the server's certificate; None if the error is another one."""
    # redis-py raises an error of its own while it handles the one that has the reason.
    for each in (error, error.__context__):
        if isinstance(each, ssl.SSLCertVerificationError):
            return each.verify_message.rstrip(".")
    return None


def _name_authority(variable: str, file: str) -> str:
    return f"Have {variable} name the host that it is for, and the authority that signed it ({file}=FILE)."


def of_redis(about: Mapping[str, Any]) -> tuple[str, str] | None:
    """Why a Redis with this INFO cannot be used, and what to do; None if it can."""
    if unchanging := _takes_no_changes(about):
        return unchanging
    if about.get("cluster_enabled"):
        return f"Redis is a cluster: {WITHOUT_REDIS}", "Use a Redis without cluster mode. It may have replicas."
    version = tuple(int(number) for number in re.findall(r"\d+", str(about["redis_version"]))[:2])
    if version < OLDEST_REDIS:
        oldest = ".".join(map(str, OLDEST_REDIS))
        return (
            f"Redis {about['redis_version']} is too old: live updates come to an end",
            f"Upgrade it to {oldest} or later.",
        )
    return None


def _takes_no_changes(about: Mapping[str, Any]) -> tuple[str, str] | None:
    if about.get("role") == "slave":
        return f"Redis is a replica and takes no changes: {WITHOUT_REDIS}", "Have HOOKLINE_REDIS_URL name the primary."
    if "err" in (about.get("aof_last_write_status"), about.get("rdb_last_bgsave_status")):
        return f"Redis cannot write to its disk and takes no changes: {WITHOUT_REDIS}", "Make room; its log says more."
    # INFO has this only if min-replicas-to-write is set.
    if about.get("min_slaves_good_slaves") == 0:
        remedy = "Bring them back, or lower min-replicas-to-write."
        return f"Redis is missing its replicas and takes no changes: {WITHOUT_REDIS}", remedy
    if _is_full(about):
        remedy = "Raise its maxmemory; docs/scaling.md says how much Hookline needs."
        return f"Redis is full ({about['maxmemory'] / MIB:,.0f} MiB): {WITHOUT_REDIS}", remedy
    return None


def _is_full(about: Mapping[str, Any]) -> bool:
    most: int = about.get("maxmemory", 0)
    # A Redis that evicts keys may always be full, and still accepts writes.
    if about.get("maxmemory_policy") != "noeviction" or not most:
        return False
    used: int = about.get("used_memory", 0) - about.get("mem_not_counted_for_evict", 0)
    return used >= FULL_REDIS * most


def name_of_redis(about: Mapping[str, Any]) -> str:
    """Name and version, from INFO. Valkey's `redis_version` is that of the Redis it was forked from."""
    if valkey := about.get("valkey_version"):
        return f"Valkey {valkey}"
    return f"Redis {about['redis_version']}"


def is_refused_command(error: Exception) -> bool:
    """Whether Redis answers, but does not allow the command."""
    return isinstance(error, NoPermissionError) or (
        isinstance(error, ResponseError) and "unknown command" in str(error)
    )


def words_of(error: BaseException) -> str:
    """What an error says, or else the name of its class; without a full stop."""
    match error:
        case ConnectionRefusedError() | FileNotFoundError():
            return "nothing is listening there"
        case OSError(strerror=str(words)):
            return words
        case asyncpg.DuplicatePreparedStatementError() | asyncpg.InvalidSQLStatementNameError():
            # asyncpg's own advice is for programmers.
            return "a pooler mixes up prepared statements; add ?pgbouncer=true to HOOKLINE_DATABASE_URL"
    return str(error).strip().rstrip(".") or type(error).__name__
