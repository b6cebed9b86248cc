"""What went wrong with a request, as a kind and one sentence for a person.

Texts of libraries are shown to nobody: they reveal addresses, ports and file names of the internal network.
"""

import errno
import re
import ssl
from collections.abc import Iterator, Sequence
from typing import Final

import aiohttp

from domain.addresses import REFUSED, AddressRefused
from domain.guarded_socket import HEAD_BUDGET, BrokenConnection, BudgetSpent
from domain.vocabulary import AttemptOutcome

Failure = tuple[AttemptOutcome, str]

TOO_SLOW: Final = "The receiver did not answer in time."
NO_HTTP: Final = "What the receiver sent is not an HTTP answer."
LONG_HEAD: Final = f"The receiver sent more than {HEAD_BUDGET // 1024} KiB of status line and headers."
TOO_LARGE: Final = "The receiver sent far more than an answer needs."
REDIRECTED: Final = "The receiver answered {status}; redirects are not followed."
ANSWERED: Final = "The receiver answered {status}."
NO_STATUS: Final = "The receiver answered {status}; an answer's status is from 200 to 599."

# Ours, not the receiver's: such an attempt does not count.
_OUT_OF_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
_UNREACHABLE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN})

# X509_V_ERR_*, https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/
_CERTIFICATE_FAULTS: Final = {
    9: "The receiver's certificate is not valid yet.",
    10: "The receiver's certificate has expired.",
    18: "The receiver's certificate is signed by itself.",
    19: "The receiver's certificate comes from an unknown authority.",
    20: "The receiver's certificate comes from an unknown authority, or an intermediate certificate is missing.",
    21: "The receiver's certificate comes from an unknown authority, or an intermediate certificate is missing.",
    62: "The receiver's certificate is for another host.",
    64: "The receiver's certificate is for another address.",
}


def classify(error: BaseException) -> Failure:
    """The kind of a failed request and a sentence about it, for anything that aiohttp can raise."""
    chain = tuple(_chain(error))
    if any(isinstance(each, AddressRefused) for each in chain):
        return AttemptOutcome.ADDRESS_REFUSED, REFUSED
    if any(isinstance(each, BudgetSpent) for each in chain):
        return AttemptOutcome.INVALID_RESPONSE, LONG_HEAD if isinstance(error, BrokenConnection) else TOO_LARGE
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return AttemptOutcome.DNS_FAILED, "The name of the receiver's host could not be looked up."
    tls_faults = [each for each in chain if isinstance(each, ssl.SSLError | aiohttp.ClientSSLError)]
    if tls_faults:
        return AttemptOutcome.TLS_FAILED, _tls_sentence(tls_faults)
    if isinstance(error, TimeoutError):
        return AttemptOutcome.TIMED_OUT, _timeout_sentence(error)
    broken_by = error.__cause__ if isinstance(error, BrokenConnection) else None
    return _without_answer(broken_by or error)


def _without_answer(error: BaseException) -> Failure:
    match error:
        case OSError(errno=number) if number in _OUT_OF_ROOM:
            return AttemptOutcome.INTERRUPTED, "Hookline had no room for another connection."
        case aiohttp.ClientConnectorError():
            return AttemptOutcome.CONNECTION_FAILED, _connection_sentence(_numbers(error.os_error))
        case aiohttp.ServerDisconnectedError():
            return AttemptOutcome.CONNECTION_FAILED, "The receiver closed the connection without an answer."
        case aiohttp.InvalidURL():
            return AttemptOutcome.CONNECTION_FAILED, "The callback URL cannot be used."
        case aiohttp.ClientConnectionError() | OSError():
            return AttemptOutcome.CONNECTION_FAILED, "The connection broke before there was an answer."
        case _:
            # aiohttp lets AssertionError, UnicodeDecodeError and ValueError through if an answer is garbage.
            return AttemptOutcome.INVALID_RESPONSE, NO_HTTP


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(8):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _tls_sentence(faults: Sequence[BaseException]) -> str:
    # aiohttp's certificate error is a subclass of the ssl module's, but without its attributes.
    codes = [code for fault in faults if (code := getattr(fault, "verify_code", None)) is not None]
    if codes:
        return _CERTIFICATE_FAULTS.get(codes[0], "The receiver's certificate is not valid.")
    return "The receiver and Hookline could not agree on TLS."


def _timeout_sentence(error: TimeoutError) -> str:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "The receiver did not accept the connection in time."
    return TOO_SLOW


def _numbers(error: OSError) -> set[int]:
    if error.errno is not None:
        return {error.errno}
    # If several addresses failed in different ways, only the text says how.
    return {int(number) for number in re.findall(r"\[Errno (\d+)\]", str(error))}


def _connection_sentence(numbers: set[int]) -> str:
    if errno.ECONNREFUSED in numbers:
        return "The receiver refused the connection."
    if numbers & _UNREACHABLE:
        return "The receiver cannot be reached."
    return "No connection could be made."
