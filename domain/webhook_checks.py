"""What a webhook's fields must satisfy, whether it is new or changed."""

from collections.abc import Mapping
from typing import Any

from domain import addresses, request, signing
from domain.addresses import AddressPolicy
from domain.errors import FaultCode, Faults
from domain.texts import check_text

LONGEST_NAME = 200
MOST_ATTEMPTS = 20


def check_fields(faults: Faults, policy: AddressPolicy, given: Mapping[str, Any]) -> None:
    """Note what is wrong with the values that are given; a value that is missing or None is not checked."""
    if (name := given.get("name")) is not None:
        check_text(faults, name, "name", longest=LONGEST_NAME, what="The name")
    if (url := given.get("callback_url")) is not None:
        _check_url(faults, url, policy)
    if given.get("events") == ():
        faults.add(FaultCode.REQUIRED, "Choose at least one event.", "events")
    if (attempts := given.get("max_attempts")) is not None and not 1 <= attempts <= MOST_ATTEMPTS:
        faults.add(FaultCode.OUT_OF_RANGE, f"There may be 1 to {MOST_ATTEMPTS} attempts.", "max_attempts")
    if (secret := given.get("secret")) is not None:
        faults.extend(signing.check_secret(secret), "secret")
    if headers := given.get("headers"):
        faults.extend(request.check_headers(headers), "headers")


def _check_url(faults: Faults, url: str, policy: AddressPolicy) -> None:
    if not url.strip():
        faults.add(FaultCode.REQUIRED, "The URL must not be blank.", "callback_url")
    else:
        faults.extend(addresses.check_url(url, policy), "callback_url")
