"""Behind a proxy that does TLS: which proxy is believed about who a client is, and by which scheme it came."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_network

import aiohttp
import pytest
from websockets.exceptions import InvalidStatus

from api.main import config_of
from domain.listening import listener
from domain.settings import Settings
from tests.api.conftest import Api, QuietServer, running
from tests.api.protocol import opened
from tests.api.sockets import ws

pytestmark = pytest.mark.usefixtures("patient_rates")

PROXY = "127.0.0.2"
SAYS = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}


@pytest.fixture
async def behind(settings: Settings) -> AsyncIterator[Api]:
    """An API that trusts PROXY, and allows one failed login from each address."""
    trusted = (ip_network(f"{PROXY}/32"),)
    async with running(replace(settings, trusted_proxies=trusted, failed_logins_per_minute=1)) as api:
        yield api


async def status_of_a_bad_token(api: Api, sender: str, client: str) -> int:
    """The status that a client behind this sender gets for a wrong token."""
    connector = aiohttp.TCPConnector(local_addr=(sender, 0))
    headers = {"authorization": "Bearer hl_wrong", "x-forwarded-for": client}
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.post(api.graphql, json={"query": "{ liveCursor }"}, headers=headers) as answer,
    ):
        return answer.status


async def test_a_page_that_came_over_tls_by_the_trusted_proxy_has_our_own_origin(behind: Api) -> None:
    origin = behind.url.replace("http:", "https:")
    async with opened(ws(behind), local_addr=(PROXY, 0), origin=origin, additional_headers=SAYS) as socket:
        await socket.initialise(behind.token)
        assert await socket.receive() == {"type": "connection_ack"}


async def test_who_is_no_trusted_proxy_is_not_believed(behind: Api) -> None:
    origin = behind.url.replace("http:", "https:")
    with pytest.raises(InvalidStatus) as refused:
        async with opened(ws(behind), origin=origin, additional_headers=SAYS):
            pass
    assert refused.value.response.status_code == 403
    assert [await status_of_a_bad_token(behind, "127.0.0.1", f"203.0.113.{n}") for n in (1, 2)] == [401, 429]


async def test_clients_of_the_trusted_proxy_are_told_apart(behind: Api) -> None:
    told = [await status_of_a_bad_token(behind, PROXY, f"203.0.113.{n}") for n in (1, 2, 1)]
    assert told == [401, 401, 429]


async def test_the_proxy_is_trusted_where_it_comes_by_ipv4_to_a_socket_for_both(settings: Settings) -> None:
    there = replace(settings, host="::", port=0, trusted_proxies=(ip_network("127.0.0.0/8"),))
    server = QuietServer(config_of(there))
    server.config.loop = "none"
    with listener("::", 0, "HOOKLINE_PORT") as both:
        task = asyncio.create_task(server.serve([both]))
        async with asyncio.timeout(60), aiohttp.ClientSession() as session:
            while not server.started:
                await asyncio.sleep(0.005)
            url = f"http://127.0.0.1:{both.getsockname()[1]}/healthz"
            async with session.get(url, headers=SAYS) as answer:
                assert "strict-transport-security" in answer.headers
            server.should_exit = True
            await task


def test_it_is_the_proxy_that_closes_a_connection_which_is_idle(settings: Settings) -> None:
    """Of nginx, Amazon's balancers, Traefik and Caddy, Caddy keeps it longest: for two minutes."""
    assert config_of(settings).timeout_keep_alive > 120


async def test_without_the_setting_a_proxy_on_this_machine_is_believed(settings: Settings) -> None:
    async with running(settings) as api:
        origin = api.url.replace("http:", "https:")
        async with opened(ws(api), origin=origin, additional_headers=SAYS) as socket:
            await socket.quiet()
