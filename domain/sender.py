"""The one door to the outside: no other file opens a socket to a third party (tests/test_one_door.py).

What a receiver does is a value (`Outcome`). The destination is checked when it is dialled; the answer is bounded in
time, size and CPU. docs/security.md says what each line here protects against.
"""

import asyncio
import contextlib
import errno
import json as json_module
import os
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self, cast

import aiohttp
from aiohttp.abc import ResolveResult
from aiohttp.resolver import AsyncResolver
from multidict import CIMultiDict

from domain.addresses import AddressPolicy, AddressRefused
from domain.bounded_answer import read_answer
from domain.errors import HooklineError
from domain.failures import ANSWERED, NO_STATUS, REDIRECTED, classify
from domain.guarded_socket import (
    HEAD_BUDGET,
    GuardedConnector,
    GuardedProviderResponse,
    GuardedResponse,
    GuardedSocket,
    UnaskedAnswer,
    request_class,
)
from domain.outcome import Answer, Blocked, Delivered, Failed, Outcome
from domain.request import OutgoingRequest, hidden_values
from domain.retry import parse_retry_after
from domain.version import USER_AGENT
from domain.vocabulary import AttemptOutcome

PROVIDER_ANSWER: Final = 1024 * 1024
# Node closes idle connections after 5 s: closing ours first avoids sending on one that is just being closed.
KEEP_ALIVE: Final = 4.0
# How many idle connections are kept, in addition to those in use.
IDLE_CONNECTIONS: Final = 1000
# Connections to networks: the posts that a worker publishes at once (workers/publish.py), times the accounts that a
# post may have (post_checks.py). With fewer, twenty posts of one workspace to a network that hangs could take them all.
NETWORK_CONNECTIONS: Final = 40 * 50
# How long a DNS look-up may take for each try and each server, and after how many unanswered tries the attempt fails.
DNS_SECONDS: Final = 2.0
DNS_TRIES: Final = 2
# How many addresses of a name are dialled: if a name has hundreds, each could be another victim.
ADDRESSES_PER_NAME: Final = 8


@dataclass(frozen=True)
class SenderLimits:
    """How long a receiver may take: to accept the connection (TLS included), and for the whole request."""

    connect_timeout: timedelta = timedelta(seconds=5)
    request_timeout: timedelta = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class ProviderAnswer:
    """What a network answered; the body is complete, at most 1 MiB."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class CallFailed(HooklineError):
    """A network gave no usable answer."""

    def __init__(self, kind: AttemptOutcome) -> None:
        super().__init__()
        self.kind = kind


class Sender:
    """Sends deliveries and calls providers; an async context manager, one for each process."""

    def __init__(
        self,
        policy: AddressPolicy,
        limits: SenderLimits,
        connections: int,
        *,
        nameservers: Sequence[str] = (),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """At most `connections` requests are under way at once on kept connections, and as many on fresh ones; calls
        have connections of their own.

        `nameservers` ("192.0.2.1", "127.0.0.1:5353") replace those of the system, and `tls` its certificate
        authorities.
        """
        self._policy = policy
        self._limits = limits
        self._connections = connections
        self._nameservers = nameservers
        self._tls = tls
        self._request_seconds = limits.request_timeout.total_seconds()
        self._open = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            resolver = _Resolver(timeout=DNS_SECONDS, tries=DNS_TRIES, nameservers=list(self._nameservers) or None)
            stack.push_async_callback(resolver.close)
            kept = await stack.enter_async_context(self._connector(resolver, keepalive_timeout=KEEP_ALIVE))
            fresh = await stack.enter_async_context(self._connector(resolver, force_close=True))
            called = self._connector(resolver, force_close=True, limit=NETWORK_CONNECTIONS)
            networks = await stack.enter_async_context(called)
            self._kept = await stack.enter_async_context(self._session(kept))
            self._fresh = await stack.enter_async_context(self._session(fresh))
            self._provider = await stack.enter_async_context(self._session(networks, GuardedProviderResponse))
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def send(self, request: OutgoingRequest) -> Outcome:
        """One attempt. Raises nothing for what the receiver does; a cancelled task drops the connection."""
        started = monotonic()
        deadline = asyncio.get_running_loop().time() + self._request_seconds
        try:
            async with asyncio.timeout_at(deadline):
                response = await self._request(request)
        except Exception as error:  # noqa: BLE001 - classified, whatever a stranger can make aiohttp raise
            return _failure(error, timedelta(seconds=monotonic() - started))
        # The status alone decides; the body is only read.
        answer = await read_answer(response, deadline, hidden_values(request))
        # From the headers as received: the log keeps only the first ones of very many, and hides what sounds secret.
        outcome = _judge(answer, response.headers.get("Retry-After"), timedelta(seconds=monotonic() - started))
        await response.part(deadline)
        return outcome

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
    ) -> ProviderAnswer:
        """One request to a network, by the rules of deliveries, on a connection of its own. Raises CallFailed."""
        own = CIMultiDict({"User-Agent": USER_AGENT})
        body = None
        if json is not None:
            body = json_module.dumps(json, ensure_ascii=False).encode()
            own["Content-Type"] = "application/json"
        own.update(headers or {})
        response: aiohttp.ClientResponse | None = None
        try:
            async with asyncio.timeout(self._limits.request_timeout.total_seconds()):
                response = await self._provider.request(method, url, headers=own, data=body, allow_redirects=False)
                return await _provider_answer(response)
        except CallFailed:
            raise
        except Exception as error:  # noqa: BLE001 - as in send
            raise CallFailed(classify(error)[0]) from None
        finally:
            if response is not None:
                response.close()

    async def _request(self, request: OutgoingRequest) -> GuardedResponse:
        try:
            return await self._request_on(self._kept, request)
        except UnaskedAnswer:
            # Nothing was sent on that connection.
            return await self._request_on(self._fresh, request)

    async def _request_on(self, session: aiohttp.ClientSession, request: OutgoingRequest) -> GuardedResponse:
        headers = CIMultiDict(request.headers)
        response = await session.request(
            request.method, request.url, headers=headers, data=request.body, allow_redirects=False
        )
        return cast("GuardedResponse", response)

    def _connector(self, resolver: AsyncResolver, **options: Any) -> GuardedConnector:
        return GuardedConnector(
            # aiohttp asks no resolver about literals, so the address is judged where it is dialled.
            socket_factory=self._socket_for,
            resolver=resolver,
            ssl=True if self._tls is None else self._tls,
            **{"limit": self._connections, **options},
        )

    def _session(
        self, connector: aiohttp.BaseConnector, response: type[GuardedResponse] = GuardedResponse
    ) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=connector,
            connector_owner=False,
            request_class=request_class(self._connections + IDLE_CONNECTIONS),
            response_class=response,
            headers={"Accept-Encoding": "identity"},
            skip_auto_headers=("User-Agent", "Content-Type"),
            # The default jar carries a cookie from one workspace's request to another's.
            cookie_jar=aiohttp.DummyCookieJar(),
            # A proxy from the environment would dial for us, past the guard.
            trust_env=False,
            # A bomb of some kilobytes would become gigabytes.
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._limits.connect_timeout.total_seconds()),
            # The socket bounds all headers together, and so each of these.
            max_line_size=HEAD_BUDGET,
            max_field_size=HEAD_BUDGET,
            max_headers=HEAD_BUDGET,
        )

    def _socket_for(self, info: aiohttp.AddrInfoType) -> GuardedSocket:
        family, kind, proto, _, address = info
        if family not in (socket.AF_INET, socket.AF_INET6):
            raise AddressRefused
        self._policy.judge(str(address[0]), int(address[1]))
        if family == socket.AF_INET6 and not _has_way(address):
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        return GuardedSocket(family, kind, proto)


def _has_way(address: tuple[Any, ...]) -> bool:
    """Whether this machine has a route to an IPv6 address; many containers have only IPv4. Sends nothing.

    Without a route, connecting fails with EADDRNOTAVAIL, as it does if no local port is left.
    """
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as trial:
        return trial.connect_ex(address) == 0


class _Resolver(AsyncResolver):
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return (await super().resolve(host, port, family))[:ADDRESSES_PER_NAME]


def _judge(answer: Answer, retry_after: str | None, duration: timedelta) -> Outcome:
    status = answer.status
    if 200 <= status <= 299:
        return Delivered(answer, duration)
    if not 300 <= status <= 599:
        return Failed(AttemptOutcome.INVALID_RESPONSE, NO_STATUS.format(status=status), duration, answer)
    sentence = (REDIRECTED if status < 400 else ANSWERED).format(status=status)
    wait = parse_retry_after(retry_after, datetime.now(UTC)) if status in (429, 503) else None
    return Failed(AttemptOutcome.HTTP_ERROR, sentence, duration, answer, wait, gone=status == 410)


def _failure(error: Exception, duration: timedelta) -> Outcome:
    kind, sentence = classify(error)
    if kind is AttemptOutcome.ADDRESS_REFUSED:
        return Blocked(sentence, duration)
    return Failed(kind, sentence, duration)


async def _provider_answer(response: aiohttp.ClientResponse) -> ProviderAnswer:
    body = bytearray()
    while chunk := await response.content.read(PROVIDER_ANSWER + 1 - len(body)):
        body += chunk
        if len(body) > PROVIDER_ANSWER:
            raise CallFailed(AttemptOutcome.INVALID_RESPONSE)
    return ProviderAnswer(response.status, tuple(response.headers.items()), bytes(body))
