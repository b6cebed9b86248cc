"""Where deliveries may go: what the text of a URL tells, and what an address does."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from domain.addresses import DENIED_PORTS, REFUSED, AddressPolicy, AddressRefused, check_url
from domain.errors import FaultCode
from tests.domain.bad_urls import BAD_URLS, NAMES_THAT_LEAD_INSIDE
from tests.domain.good_urls import GOOD_URLS
from tests.domain.sending import LOOPBACK, networks

PUBLIC = AddressPolicy()


def test_the_lists_are_as_long_as_promised() -> None:
    assert len(set(BAD_URLS)) == len(BAD_URLS) >= 150
    assert len(set(GOOD_URLS)) == len(GOOD_URLS) >= 20


@pytest.mark.parametrize("url", BAD_URLS, ids=ascii)
def test_a_bad_url_is_refused_when_it_is_saved(url: str) -> None:
    faults = check_url(url, PUBLIC)
    assert len(faults) == 1
    assert faults[0].code in {FaultCode.INVALID, FaultCode.ADDRESS_REFUSED, FaultCode.TOO_LONG}


@pytest.mark.parametrize("place", ["a.test:0", "a.test:65536", "a.test:-1", "a.test:8o", "[2606:4700::1]:99999"])
def test_a_port_that_cannot_be_is_called_just_that(place: str) -> None:
    (fault,) = check_url(f"https://{place}/", PUBLIC)
    assert (fault.code, fault.message) == (FaultCode.INVALID, "The URL's port must be a number from 1 to 65535.")


@pytest.mark.parametrize("url", GOOD_URLS, ids=ascii)
def test_a_good_url_is_accepted(url: str) -> None:
    assert check_url(url, PUBLIC) == []


@pytest.mark.parametrize("name", NAMES_THAT_LEAD_INSIDE)
def test_no_name_is_looked_up_when_it_is_saved(name: str) -> None:
    assert check_url(f"https://{name}/", PUBLIC) == []


@pytest.mark.parametrize("host", ["10.0.0.1", "[::1]", "169.254.169.254", "localhost", "example.com:25"])
def test_every_forbidden_place_gets_the_same_sentence(host: str) -> None:
    (fault,) = check_url(f"http://{host}/", PUBLIC)
    assert (fault.code, fault.message, fault.field) == (FaultCode.ADDRESS_REFUSED, REFUSED, ())


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "[::1]", "localhost", "a.localhost."])
def test_allowed_networks_open_what_is_closed(host: str) -> None:
    assert check_url(f"http://{host}:8080/", LOOPBACK) == []


@pytest.mark.parametrize("host", ["127.0.0.1.", "127.0.0.1..", "8.8.8.8."])
def test_an_address_with_a_dot_at_its_end_is_none_for_the_sender_cannot_dial_it(host: str) -> None:
    (fault,) = check_url(f"http://{host}:8080/", LOOPBACK)
    assert fault.code is FaultCode.INVALID


@pytest.mark.parametrize("character", ['"', "<", ">", "\\", "^", "`", "{", "|", "}"])
def test_a_character_that_no_url_has_is_named(character: str) -> None:
    (fault,) = check_url(f"https://a.test/{character}", PUBLIC)
    assert character in fault.message
    assert check_url(f"https://a.test/%{ord(character):02X}", PUBLIC) == []


def test_allowed_networks_open_nothing_else() -> None:
    assert not LOOPBACK.permits(ip_address("10.0.0.1"))
    assert not LOOPBACK.permits(ip_address("::ffff:127.0.0.1"))


def test_no_setting_opens_a_denied_port() -> None:
    assert check_url("http://127.0.0.1:6379/", LOOPBACK)
    assert not any(LOOPBACK.permits_port(port) for port in DENIED_PORTS)


def test_the_ports_that_browsers_block_are_denied_and_those_of_redis_and_memcached() -> None:
    # https://fetch.spec.whatwg.org/#port-blocking
    fetch = (
        "0 1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110 111 113 115 117 119"
        " 123 135 137 139 143 161 179 389 427 465 512 513 514 515 526 530 531 532 540 548 554 556 563 587 601 636 989"
        " 990 993 995 1719 1720 1723 2049 3659 4045 4190 5060 5061 6000 6566 6665 6666 6667 6668 6669 6679 6697 10080"
    )
    assert {*map(int, fetch.split()), 6379, 11211} == DENIED_PORTS


def test_a_port_has_sixteen_bits() -> None:
    assert PUBLIC.permits_port(65_535)
    assert not PUBLIC.permits_port(65_536)
    assert not PUBLIC.permits_port(-1)


@pytest.mark.parametrize(
    ("path", "codes"), [("x" * (2_048 - 15), []), ("x" * (2_048 - 14), [FaultCode.TOO_LONG])], ids=["2048", "2049"]
)
def test_a_url_may_be_as_long_as_it_may_be(path: str, codes: list[FaultCode]) -> None:
    assert [fault.code for fault in check_url(f"https://a.test/{path}", PUBLIC)] == codes


@pytest.mark.parametrize(("length", "codes"), [(253, []), (254, [FaultCode.INVALID])])
def test_a_name_may_be_as_long_as_names_may_be(length: int, codes: list[FaultCode]) -> None:
    name = ("a" * 60 + ".") * 4 + "b" * (length - 4 * 61)
    assert [fault.code for fault in check_url(f"https://{name}/", PUBLIC)] == codes


def test_further_ports_can_be_denied() -> None:
    policy = replace(PUBLIC, denied_ports=frozenset({8081}))
    assert not policy.permits_port(8081)
    assert policy.permits_port(8080)
    assert not policy.permits_port(22)


@pytest.mark.parametrize(
    "disguise",
    [
        "203.0.114.7",
        "::ffff:203.0.114.7",
        "::203.0.114.7",
        "64:ff9b::203.0.114.7",
        "64:ff9b:1::203.0.114.7",
        "64:ff9b:1:2::203.0.114.7",
        "2002:cb00:7207::1",
        "2001:0:cb00:7207::",
        "2001:0:1:2:3:4:34ff:8df8",
        "2606:4700::5efe:203.0.114.7",
    ],
)
def test_a_denied_network_is_denied_in_every_disguise_whatever_is_allowed(disguise: str) -> None:
    policy = AddressPolicy(allowed=networks("0.0.0.0/0", "::/0"), denied=networks("203.0.114.0/24"))
    assert not policy.permits(ip_address(disguise))
    assert policy.permits(ip_address("203.0.115.7"))
    assert policy.permits(ip_address("2002:cb00:7307::1"))


# The first and the last address of each. All but Azure's 168.63.129.16 are from IANA's registries.
CLOSED_NETWORKS = {
    "0.0.0.0": "0.255.255.255",
    "10.0.0.0": "10.255.255.255",
    "100.64.0.0": "100.127.255.255",
    "127.0.0.0": "127.255.255.255",
    "168.63.129.16": "168.63.129.16",
    "169.254.0.0": "169.254.255.255",
    "172.16.0.0": "172.31.255.255",
    "192.0.0.0": "192.0.0.255",
    "192.0.2.0": "192.0.2.255",
    "192.31.196.0": "192.31.196.255",
    "192.52.193.0": "192.52.193.255",
    "192.88.99.0": "192.88.99.255",
    "192.168.0.0": "192.168.255.255",
    "192.175.48.0": "192.175.48.255",
    "198.18.0.0": "198.19.255.255",
    "198.51.100.0": "198.51.100.255",
    "203.0.113.0": "203.0.113.255",
    "224.0.0.0": "255.255.255.255",
    "::": "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001::": "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:db8::": "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
    "2002::": "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2620:4f:8000::": "2620:4f:8000:ffff:ffff:ffff:ffff:ffff",
    "3fff::": "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
    "4000::": "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
}


@pytest.mark.parametrize(("begin", "end"), CLOSED_NETWORKS.items())
def test_a_network_is_closed_from_its_first_address_to_its_last_and_no_further(begin: str, end: str) -> None:
    first, last = ip_address(begin), ip_address(end)
    assert not PUBLIC.permits(first)
    assert not PUBLIC.permits(last)
    beside = [first - 1] if int(first) else []
    beside += [last + 1] if int(last) + 1 < 2**last.max_prefixlen else []
    assert [address for address in beside if not PUBLIC.permits(address)] == [
        address for address in beside if str(address) in {*CLOSED_NETWORKS, *CLOSED_NETWORKS.values()}
    ]


@pytest.mark.parametrize(
    "host", ["example.com", "127.1", "0177.0.0.1", "", "fe80::1%eth0", "2606:4700::1111%1", "/run/x.sock"]
)
def test_only_a_literal_address_is_ever_dialled(host: str) -> None:
    with pytest.raises(AddressRefused):
        PUBLIC.judge(host, 443)


def test_a_denied_port_is_never_dialled() -> None:
    with pytest.raises(AddressRefused):
        PUBLIC.judge("1.1.1.1", 25)


def test_a_public_address_and_port_may_be_dialled() -> None:
    PUBLIC.judge("1.1.1.1", 443)
    PUBLIC.judge("2606:4700::1111", 8443)
