"""Where deliveries may go.

Two checks with different purposes. `check_url` looks at the text of a URL when somebody saves it, and gives a clear
answer at once. `AddressPolicy.judge` decides: `domain/sender.py` asks it about every address and port as they are
dialled, so that no resolver, redirect or spelling can lead elsewhere. See docs/security.md.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from yarl import URL

from domain.errors import Fault, FaultCode
from domain.request import LONGEST_URL
from domain.settings import Network

Address = IPv4Address | IPv6Address

# One sentence for every forbidden place: a second one would help to map the internal network.
REFUSED = "Deliveries may not go there."
HIGHEST_PORT = 65_535
_NO_NAME = "The URL's host is neither a name that can be looked up nor an address."

# Spelled out, because ipaddress.is_global is true for multicast and changes between patch releases of Python.
# The registry: https://www.iana.org/assignments/iana-ipv4-special-registry
_FORBIDDEN_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network; Linux connects 0.0.0.0 to itself
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; Alibaba's metadata service
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's host services, on a public address
        "169.254.0.0/16",  # link-local; the metadata services of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata service
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112: sinkholes for reverse look-ups, served by the nearest of many operators
        "192.52.193.0/24",  # multicast tunnels (AMT)
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved; broadcast
    )
)
# https://www.iana.org/assignments/ipv6-address-space: only 2000::/3 is handed out. Loopback, unique local, link-local,
# site-local, multicast, IPv4-mapped and -compatible, and NAT64 (64:ff9b::/96, 64:ff9b:1::/48) all lie outside it.
_GLOBAL_V6 = IPv6Network("2000::/3")
_SIX_TO_FOUR = IPv6Network("2002::/16")
_TEREDO = IPv6Network("2001::/32")
_FORBIDDEN_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
# The interface identifiers of ISATAP (RFC 5214), in any prefix: the last 32 bits are an IPv4 address.
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)

# Ports whose protocols take commands line by line, so that a request's text could drive them: the list of the Fetch
# standard (https://fetch.spec.whatwg.org/#port-blocking), and Redis and memcached.
# fmt: off
DENIED_PORTS = frozenset((
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
    110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531,
    532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060,
    5061, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080, 11211,
))
# fmt: on

_BAD_CHARACTERS = re.compile(r"[\x00-\x20\x7f-\xa0\\^`{}|<>\"\u2028\u2029\ud800-\udfff]")
# A host, or an IPv6 address without a zone, and a port in plain digits; yarl takes "+80" and "[v1.x]" as well.
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:@]+)(:[0-9]{0,5})?", re.IGNORECASE)
# What follows a name, or an address in brackets; a colon without a port is allowed by RFC 3986.
_PORT = re.compile(r"^(?:\[.*\]|[^\[\]:]*):([^:]+)$")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)
# WHATWG calls such a host "ends in a number"; other parsers read 2130706433, 0x7f.1 or 127.1 as addresses.
_NUMERIC_END = re.compile(r"(^|\.)(\d+|0x[0-9a-f]*)$", re.IGNORECASE)


class AddressRefused(OSError):
    """Deliveries may not go there."""

    def __init__(self) -> None:
        super().__init__(REFUSED)


@dataclass(frozen=True)
class AddressPolicy:
    """What the operator has configured about destinations.

    `denied` wins over all; `allowed` opens networks that are closed by default; everything else is the public Internet.
    `denied_ports` are closed besides DENIED_PORTS, which no setting opens.
    """

    allowed: tuple[Network, ...] = ()
    denied: tuple[Network, ...] = ()
    denied_ports: frozenset[int] = frozenset()

    def permits(self, ip: Address) -> bool:
        """Whether a connection to this address may be opened."""
        if any(form in network for network in self.denied for form in (ip, *_embedded(ip))):
            return False
        if any(ip in network for network in self.allowed):
            return True
        return _is_public(ip)

    def permits_port(self, port: int) -> bool:
        """Whether a connection to this port may be opened."""
        return 0 < port <= HIGHEST_PORT and port not in DENIED_PORTS and port not in self.denied_ports

    def judge(self, host: str, port: int) -> None:
        """Raises AddressRefused unless a socket may be connected to this literal address and port."""
        try:
            ip = ip_address(host)
        except ValueError:
            raise AddressRefused from None
        if not (self.permits_port(port) and self.permits(ip)):
            raise AddressRefused


def check_url(url: str, policy: AddressPolicy) -> list[Fault]:
    """All that is wrong with a callback URL as text; no name is looked up. The faults carry no field path."""
    if len(url) > LONGEST_URL:
        return [Fault(FaultCode.TOO_LONG, f"A URL may have at most {LONGEST_URL:,} characters.")]
    if message := _fault_of_text(url):
        return [_invalid(message)]
    try:
        # The same parser that the sender dials with: two parsers that disagree are a hole.
        parsed = URL(url)
        host, port = parsed.raw_host, parsed.port
    except ValueError:
        return [_invalid(_NO_NAME)]
    if not host or port is None:
        return [_invalid("The URL has no host.")]
    return list(_faults_of_place(host, port, policy))


def _fault_of_text(url: str) -> str | None:
    if _BAD_CHARACTERS.search(url):
        return r'A URL has no spaces, no control characters and none of "<>\^`{|}; write them %-encoded.'
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() not in {"http", "https"}:
        return "A callback URL starts with https:// or http://."
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        return "A URL may carry no user name or password; send credentials in a header."
    if (port := _PORT.search(authority)) and not (port[1].isdecimal() and 0 < int(port[1]) <= HIGHEST_PORT):
        return f"The URL's port must be a number from 1 to {HIGHEST_PORT}."
    if not _AUTHORITY.fullmatch(authority):
        return _NO_NAME if authority else "The URL has no host."
    return None


def _faults_of_place(host: str, port: int, policy: AddressPolicy) -> Iterator[Fault]:
    ip = _literal(host)
    fault = _fault_of_name(host, policy) if ip is None else None
    if fault:
        yield fault
    elif (ip is not None and not policy.permits(ip)) or not policy.permits_port(port):
        yield Fault(FaultCode.ADDRESS_REFUSED, REFUSED)


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _fault_of_name(host: str, policy: AddressPolicy) -> Fault | None:
    name = host.removesuffix(".")
    labels = name.split(".")
    if _NUMERIC_END.search(name):
        return _invalid("Write an IPv4 address as four decimal numbers with dots between them.")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return _invalid(_NO_NAME)
    # RFC 6761: these names mean loopback wherever they are looked up.
    if labels[-1].lower() == "localhost" and not policy.permits(IPv4Address("127.0.0.1")):
        return Fault(FaultCode.ADDRESS_REFUSED, REFUSED)
    return None


def _invalid(message: str) -> Fault:
    return Fault(FaultCode.INVALID, message)


def _is_public(ip: Address) -> bool:
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in _FORBIDDEN_V4)
    if ip.scope_id is not None or ip not in _GLOBAL_V6 or _is_isatap(ip):
        return False
    return not any(ip in network for network in _FORBIDDEN_V6)


def _embedded(ip: Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that an IPv6 address may lead to, so that what is denied is denied in every disguise."""
    if isinstance(ip, IPv4Address):
        return
    number = int(ip)
    if ip in _SIX_TO_FOUR:
        yield IPv4Address(number >> 80 & 0xFFFF_FFFF)
    elif ip in _TEREDO:
        yield IPv4Address(number >> 64 & 0xFFFF_FFFF)
        yield IPv4Address(~number & 0xFFFF_FFFF)
    elif number >> 32 in (0, 0xFFFF) or _is_isatap(ip) or any(ip in network for network in _NAT64):
        yield IPv4Address(number & 0xFFFF_FFFF)


def _is_isatap(ip: IPv6Address) -> bool:
    return int(ip) >> 32 & 0xFFFF_FFFF in _ISATAP
