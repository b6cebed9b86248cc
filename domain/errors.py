"""
HooklineError
  Refused                  the person can mend it: becomes the `errors` of a payload
  Unauthenticated          no valid token came with the request
  Forbidden                the token's role does not allow this
  Unavailable              a server of ours is out of reach: try again later
  Misconfigured            the settings contradict each other or lack something
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NoReturn


class FaultCode(StrEnum):
    """The kinds of fault that a person can mend; the same names as the contract's UserErrorCode."""

    REQUIRED = "required"
    INVALID = "invalid"
    TOO_LONG = "too_long"
    OUT_OF_RANGE = "out_of_range"
    TAKEN = "taken"
    NOT_FOUND = "not_found"
    ADDRESS_REFUSED = "address_refused"
    WRONG_STATE = "wrong_state"
    LIMIT_REACHED = "limit_reached"
    UNAUTHORIZED_BY_PROVIDER = "unauthorized_by_provider"
    PROVIDER_UNREACHABLE = "provider_unreachable"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with what was asked.

    `field` is the path from the verb's input, in our own names: ("callback_url",), ("headers", "0", "name"), ("id",);
    empty if no single field is at fault.
    """

    code: FaultCode
    message: str
    field: tuple[str, ...] = ()


class HooklineError(Exception):
    """Something went wrong in Hookline."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class Refused(HooklineError):
    """What was asked cannot be done as it stands."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(" ".join(fault.message for fault in faults))
        self.faults = faults


class Unauthenticated(HooklineError):
    """Send a valid token: Authorization: Bearer hl_..."""


class Forbidden(HooklineError):
    """This token's role does not allow that."""


class Unavailable(HooklineError):
    """The service cannot reach its database just now; try again in a moment."""


class Misconfigured(HooklineError):
    """The settings cannot work as they are."""


def reason_of(error: BaseException) -> str:
    """The class of an error's root cause, for the log: it names the fault and quotes nothing."""
    while error.__cause__ is not None:
        error = error.__cause__
    return type(error).__name__


class Faults:
    """Collects all faults of an input, so that a person sees them at once."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def __bool__(self) -> bool:
        """Whether anything is wrong."""
        return bool(self._faults)

    def has(self, field: str) -> bool:
        """Whether anything is wrong with this field of the input."""
        return any(fault.field[:1] == (field,) for fault in self._faults)

    def add(self, code: FaultCode, message: str, *field: str) -> None:
        """Note one fault at the given path."""
        self._faults.append(Fault(code, message, field))

    def extend(self, faults: Iterable[Fault], *prefix: str) -> None:
        """Note the faults of a part of the input that stands at `prefix`."""
        self._faults.extend(replace(fault, field=(*prefix, *fault.field)) for fault in faults)

    def raise_if_any(self) -> None:
        """Raises Refused with all faults that were noted, if there are any."""
        if self._faults:
            raise Refused(*self._faults)


def not_found(noun: str, *field: str) -> NoReturn:
    """Raises Refused for an id that leads nowhere in this workspace."""
    raise Refused(Fault(FaultCode.NOT_FOUND, f"There is no such {noun}.", field or ("id",)))


def wrong_state(message: str, *field: str) -> NoReturn:
    """Raises Refused for a thing whose state does not allow what was asked."""
    raise Refused(Fault(FaultCode.WRONG_STATE, message, field or ("id",)))
