"""The settings of a process: the only reader of the environment, except for options of `hookline listen`.

They are read once, when a process starts, and handed down. .env.example and docs/settings.md list every variable. Any
of them may be given as a file instead: HOOKLINE_SECRET_KEYS_FILE names a file that holds HOOKLINE_SECRET_KEYS.
"""

import base64
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from domain.errors import Misconfigured

Network = IPv4Network | IPv6Network
KEY_BYTES = 32
# What a worker needs beyond the longest attempt to record its result before the lease runs out.
LEASE_MARGIN = timedelta(seconds=5)
# Read by `hookline listen`, which is a client.
OF_A_CLIENT = frozenset({"HOOKLINE_URL", "HOOKLINE_TOKEN"})
REQUIRED = ("database_url", "redis_url", "secret_keys")
LONGEST = timedelta(days=3650)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9._:\[\]-]+")
# Base64 of 32 bytes, in either alphabet.
_KEY = re.compile(r"[A-Za-z0-9+/_-]{43}=")
_IMPLIED_PORT = re.compile(r"http://.*:80|https://.*:443")


@dataclass(frozen=True)
class Settings:
    """The settings of one process; the field `lease` is read from HOOKLINE_LEASE, and so on."""

    # The servers that hold the data and the work.
    database_url: str
    redis_url: str
    # The first key seals; all of them open. 32 bytes each.
    secret_keys: tuple[bytes, ...]

    # What the API listens on.
    host: str = "127.0.0.1"
    port: int = 8000
    allowed_origins: tuple[str, ...] = ()
    # Proxies that are trusted to say who a client is, and whether it came over TLS.
    trusted_proxies: tuple[Network, ...] = (IPv4Network("127.0.0.1"), IPv6Network("::1"))

    # Where deliveries may go.
    allowed_networks: tuple[Network, ...] = ()
    denied_networks: tuple[Network, ...] = ()
    denied_ports: frozenset[int] = frozenset()

    # How deliveries are made.
    connect_timeout: timedelta = timedelta(seconds=5)
    request_timeout: timedelta = timedelta(seconds=15)
    lease: timedelta = timedelta(seconds=30)
    shutdown_deadline: timedelta = timedelta(seconds=20)
    worker_concurrency: int = 1000
    endpoint_concurrency: int = 50
    failing_limit: timedelta = timedelta(days=5)

    # What a client may ask.
    max_body_bytes: int = 1024 * 1024
    query_timeout: timedelta = timedelta(seconds=10)
    requests_per_minute: int = 6000
    failed_logins_per_minute: int = 20
    sockets_per_process: int = 5000
    sockets_per_token: int = 1000
    subscriptions_per_socket: int = 100

    # How long things are kept once they are done with.
    keep_attempt_bodies: timedelta = timedelta(days=7)
    keep_deliveries: timedelta = timedelta(days=90)

    # Logs, health and metrics, traces.
    log_format: str = "json"
    log_level: str = "info"
    # Touched by a worker each second once it is ready.
    ready_file: str = ""
    # The port on `host` at which a worker serves /healthz, /readyz and /metrics; 0 for none.
    metrics_port: int = 0
    # Where spans are sent, by OTLP over HTTP; none are if this is empty.
    traces_endpoint: str = ""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """The settings that HOOKLINE_* variables give. Raises Misconfigured, which names the variable at fault."""
        values, faults = read(environ)
        if faults:
            raise faults[0]
        settings = cls(**values)
        settings.check()
        return settings

    def check(self) -> None:
        """Raises Misconfigured if one setting contradicts another."""
        for contradiction in self.contradictions():
            raise contradiction

    def contradictions(self) -> Iterator[Misconfigured]:
        """A fault for each setting that contradicts another."""
        if self.lease < self.request_timeout + LEASE_MARGIN:
            yield Misconfigured(
                f"HOOKLINE_LEASE ({self.lease.total_seconds():g} s) must be at least "
                f"{LEASE_MARGIN.total_seconds():g} s longer than HOOKLINE_REQUEST_TIMEOUT "
                f"({self.request_timeout.total_seconds():g} s): a lease that ends before its attempt sends it twice."
            )
        if self.shutdown_deadline < self.request_timeout:
            yield Misconfigured(
                "HOOKLINE_SHUTDOWN_DEADLINE must not be shorter than HOOKLINE_REQUEST_TIMEOUT: "
                "a worker that stops waits for the attempts that are under way."
            )
        if self.connect_timeout > self.request_timeout:
            yield Misconfigured("HOOKLINE_CONNECT_TIMEOUT must not exceed HOOKLINE_REQUEST_TIMEOUT.")
        if self.keep_attempt_bodies > self.keep_deliveries:
            yield Misconfigured("HOOKLINE_KEEP_ATTEMPT_BODIES must not exceed HOOKLINE_KEEP_DELIVERIES.")


def read(environ: Mapping[str, str]) -> tuple[dict[str, Any], list[Misconfigured]]:
    """The values that HOOKLINE_* variables give, by field, and everything that is wrong with single variables."""
    values: dict[str, Any] = {}
    faults: list[Misconfigured] = []
    for field in fields(Settings):
        variable = variable_of(field.name)
        try:
            text = _text_of(variable, environ)
            if text:
                reader = _READERS.get(field.name) or _READERS[str(field.type)]
                values[field.name] = reader(text)
            elif field.name in REQUIRED:
                faults.append(Misconfigured(f"{variable} is not set."))
        except ValueError as error:
            faults.append(Misconfigured(f"{variable}: {error}."))
    return values, faults


def unread(environ: Mapping[str, str]) -> list[str]:
    """The HOOKLINE_* variables that nothing reads: a misspelt one has no effect."""
    known = {variable_of(field.name) for field in fields(Settings)}
    return sorted(
        name for name in environ
        if name.startswith("HOOKLINE_") and not {name, name.removesuffix("_FILE")} & (known | OF_A_CLIENT)
    )  # fmt: skip


def variable_of(field: str) -> str:
    """The variable that a field is read from."""
    return f"HOOKLINE_{field.upper()}"


def _text_of(variable: str, environ: Mapping[str, str]) -> str:
    text, file = environ.get(variable, "").strip(), environ.get(f"{variable}_FILE", "").strip()
    if not file:
        return text
    if text:
        raise ValueError(f"give it or {variable}_FILE, not both")
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ValueError(f"the file {file} that {variable}_FILE names cannot be read: {why}") from None


def _seconds(text: str) -> timedelta:
    seconds = _number(text, float)
    if not 0 < seconds <= LONGEST.total_seconds():
        raise ValueError(f"{text!r} is not a number of seconds above 0 and up to ten years")
    return timedelta(seconds=seconds)


def _count(text: str) -> int:
    count = int(_number(text, int))
    if not 0 < count < 2**31:
        raise ValueError(f"{text!r} is not a whole number above 0")
    return count


def _port(text: str) -> int:
    port = int(_number(text, int))
    if not 0 < port < 2**16:
        raise ValueError(f"{text!r} is not a port, 1 to 65535")
    return port


def _number(text: str, kind: Callable[[str], float]) -> float:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(part) for part in _parts(text))
    except ValueError:
        raise ValueError(f"{text!r} is not a list of networks such as 10.0.0.0/8,fd00::/8") from None


def _ports(text: str) -> frozenset[int]:
    return frozenset(_port(part) for part in _parts(text))


def host_of(text: str) -> str:
    """The name or the address of a host. Raises ValueError for what is neither."""
    try:
        # A look-up begins with this encoding, and its callers do not expect a UnicodeError.
        text.encode("idna")
    except UnicodeError:
        raise ValueError(f"{text!r} is not the name or the address of a host") from None
    return text


def _origins(text: str) -> tuple[str, ...]:
    # As browsers write an origin (RFC 6454, section 6.2); any other form would never match.
    origins = tuple(_parts(text))
    for origin in origins:
        if not _ORIGIN.fullmatch(origin) or _IMPLIED_PORT.fullmatch(origin):
            raise ValueError(
                f"{origin!r} is not an origin as browsers send it, such as https://app.example.com: "
                "small letters, no path, and a port only where it is not the usual one"
            )
    return origins


def _web_address(text: str) -> str:
    try:
        parts = urlsplit(text)
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            return text
    except ValueError:
        pass
    # It may contain a password, so the message does not repeat it.
    raise ValueError("it must look like http://host:4318/v1/traces")


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"{text!r} is not one of {', '.join(words)}")
        return text.lower()

    return read


def keys_of(text: str) -> tuple[bytes, ...]:
    """The keys that HOOKLINE_SECRET_KEYS lists, at least one. Raises ValueError, which contains nothing of them."""
    parts = _parts(text)
    # base64 stops at the first "=": keys separated by anything but a comma would be left out silently.
    if not parts or not all(map(_KEY.fullmatch, parts)):
        # The value itself is a secret, so the message does not repeat it.
        raise ValueError("each key must be 32 random bytes in URL-safe base64, with a comma between two of them")
    return tuple(map(base64.urlsafe_b64decode, parts))


# By a field's name if its type does not say enough, otherwise by its type.
_READERS: dict[str, Callable[[str], Any]] = {
    "host": host_of,
    "allowed_origins": _origins,
    "port": _port,
    "metrics_port": _port,
    "log_format": _one_of("json", "text"),
    "log_level": _one_of("debug", "info", "warning", "error"),
    "traces_endpoint": _web_address,
    "<class 'str'>": str,
    "<class 'int'>": _count,
    "<class 'datetime.timedelta'>": _seconds,
    "tuple[bytes, ...]": keys_of,
    "frozenset[int]": _ports,
    str(tuple[Network, ...]): _networks,
}
