"""Where deliveries may go, whatever a URL or a name server says: what is connected to, and what is not."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.addresses import REFUSED, AddressPolicy
from domain.outcome import Blocked, Delivered, Failed
from domain.tasks import end
from domain.vocabulary import AttemptOutcome, HttpMethod
from tests.domain.bad_urls import BAD_URLS, NAMES_THAT_LEAD_INSIDE
from tests.domain.name_server import NameServer
from tests.domain.sending import CLOSED, LOOPBACK, PATIENT, connections, networks, request_to, sending, sending_by
from tests.receiver import Answer, Receiver, receiving


async def test_no_bad_url_is_connected_to_even_where_nobody_checked_it(names: NameServer) -> None:
    async with sending_by(names) as sender:
        with connections() as connected:
            outcomes = [await sender.send(request_to(url)) for url in BAD_URLS]
    assert connected == []
    assert AttemptOutcome.SUCCEEDED not in {outcome.kind for outcome in outcomes}


@pytest.mark.parametrize("method", HttpMethod)
async def test_no_name_that_leads_inside_is_connected_to(method: HttpMethod, names: NameServer) -> None:
    names.addresses = NAMES_THAT_LEAD_INSIDE
    async with sending_by(names) as sender:
        with connections() as connected:
            urls = [f"http://{name}:8080/" for name in NAMES_THAT_LEAD_INSIDE]
            outcomes = {url: await sender.send(request_to(url, method)) for url in urls}
    assert connected == []
    assert all(isinstance(outcome, Blocked) and outcome.error == REFUSED for outcome in outcomes.values()), outcomes


async def test_the_watch_sees_connections(receiver: Receiver) -> None:
    async with sending() as sender:
        with connections() as connected:
            await sender.send(request_to(receiver.url))
    assert [address[0] for address in connected] == ["127.0.0.1"]


async def test_a_name_that_is_bound_anew_is_judged_anew(names: NameServer, receiver: Receiver) -> None:
    policy = AddressPolicy(networks("127.0.0.2/32"))
    url = receiver.url.replace("127.0.0.1", "rebound.test")
    with connections() as connected:
        for address in ("127.0.0.2", "127.0.0.1"):
            names.addresses = {"rebound.test": (address,)}
            async with sending_by(names, policy) as sender:
                outcome = await sender.send(request_to(url))
    assert {address[0] for address in connected} == {"127.0.0.2"}
    assert isinstance(outcome, Blocked)


async def test_of_a_name_with_many_addresses_only_the_permitted_ones_are_dialled(names: NameServer) -> None:
    names.addresses = {"mixed.test": ("10.0.0.1", "127.0.0.2", "169.254.169.254", "::1", "127.0.0.3")}
    async with sending_by(names, AddressPolicy(networks("127.0.0.2/31"))) as sender:
        with connections() as connected:
            outcome = await sender.send(request_to("http://mixed.test:9/"))
            assert outcome.kind is AttemptOutcome.ADDRESS_REFUSED
            outcome = await sender.send(request_to("http://mixed.test:8099/"))
    assert {address[0] for address in connected} <= {"127.0.0.2", "127.0.0.3"}
    assert outcome.kind is not AttemptOutcome.SUCCEEDED


async def test_of_a_name_with_hundreds_of_addresses_few_are_dialled(names: NameServer) -> None:
    names.addresses = {"wide.test": tuple(f"127.0.1.{n}" for n in range(1, 25))}
    async with sending_by(names, LOOPBACK) as sender:
        with connections() as connected:
            await sender.send(request_to("http://wide.test:8099/"))
    assert 1 <= len({address[0] for address in connected}) <= 8


async def test_an_address_that_this_machine_knows_no_way_to_cannot_be_reached(
    names: NameServer, closed_port: str
) -> None:
    # A link-local address without its interface leads nowhere, on machines without IPv6 too.
    policy = AddressPolicy(networks("fe80::/10", "127.0.0.0/8"))
    async with sending_by(names, policy) as sender:
        alone = await sender.send(request_to("http://[fe80::1]:8080/"))
        names.addresses = {"both.example": ("fe80::1", "127.0.0.1")}
        beside = await sender.send(request_to(closed_port.replace("127.0.0.1", "both.example")))
    assert (alone.kind, alone.error) == (AttemptOutcome.CONNECTION_FAILED, "The receiver cannot be reached.")
    assert (beside.kind, beside.error) == (AttemptOutcome.CONNECTION_FAILED, "The receiver refused the connection.")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(status: int, receiver: Receiver) -> None:
    async with receiving() as inside, sending() as sender:
        receiver.answer(Answer(status, {"Location": inside.url}))
        outcome = await sender.send(request_to(receiver.url))
        assert inside.requests == []
    assert isinstance(outcome, Failed)
    assert outcome.kind is AttemptOutcome.HTTP_ERROR
    assert outcome.error == f"The receiver answered {status}; redirects are not followed."


async def test_a_denied_network_wins_over_an_allowed_one(receiver: Receiver) -> None:
    policy = replace(LOOPBACK, denied=networks("127.0.0.1/32"))
    async with sending(policy) as sender:
        with connections() as connected:
            outcome = await sender.send(request_to(receiver.url))
    assert isinstance(outcome, Blocked)
    assert connected == []


async def test_no_proxy_is_taken_from_the_environment(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as proxy, sending(CLOSED) as closed, sending() as sender:
        for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(variable, proxy.url)
        assert isinstance(await closed.send(request_to("http://10.0.0.1/")), Blocked)
        assert isinstance(await sender.send(request_to(receiver.url)), Delivered)
        assert proxy.requests == []


async def test_a_silent_name_server_delays_nobody_else(
    names: NameServer, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.sender.DNS_SECONDS", 60.0)
    names.silent = {f"silent{n}.test" for n in range(60)}
    names.broken = {"broken.test"}
    names.addresses = {"good.test": ("127.0.0.1",)}
    limits = replace(PATIENT, request_timeout=timedelta(seconds=60))
    async with sending_by(names, LOOPBACK, limits=limits) as sender:
        silent = [asyncio.create_task(sender.send(request_to(f"http://{name}/"))) for name in names.silent]
        good = await sender.send(request_to(receiver.url.replace("127.0.0.1", "good.test")))
        assert not any(task.done() for task in silent)
        broken = await sender.send(request_to("http://broken.test/"))
        await end(*silent)
    assert isinstance(good, Delivered)
    assert broken.kind is AttemptOutcome.DNS_FAILED


async def test_a_silent_name_server_is_waited_for_no_longer_than_a_receiver(names: NameServer) -> None:
    names.silent = {"silent.test"}
    limits = replace(PATIENT, request_timeout=timedelta(seconds=0.2))
    async with sending_by(names, LOOPBACK, limits=limits) as sender:
        outcome = await sender.send(request_to("http://silent.test/"))
    assert outcome.kind is AttemptOutcome.TIMED_OUT
