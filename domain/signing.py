"""Signatures of deliveries: the plain hexadecimal one, and the one of Standard Webhooks.

A secret is text, and its UTF-8 bytes are the key of `X-Signature`, whatever it looks like: the key is exactly what a
person copied into their PHP. Only for `webhook-signature` does a `whsec_` secret stand for the bytes that it encodes
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
"""

import hmac
import re
import secrets
from base64 import b64decode, b64encode

from domain.errors import Fault, FaultCode

PREFIX = "whsec_"
GENERATED_BYTES = 32
LONGEST_SECRET = 500

_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")


def hex_signature(secret: bytes, body: bytes) -> str:
    """The value of `X-Signature`: lower-case hexadecimal HMAC-SHA256 of the body as it is sent."""
    return hmac.digest(secret, body, "sha256").hex()


def standard_signature(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """One signature of `webhook-signature`: `v1,` and base64 of the HMAC-SHA256 of `id.timestamp.body`.

    `secret` is a key as `standard_key` makes it; `timestamp` is in seconds since 1970.
    """
    signed = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    return "v1," + b64encode(hmac.digest(secret, signed, "sha256")).decode("ascii")


def standard_key(secret: str) -> bytes:
    """The key that Standard Webhooks derives from a secret: what `whsec_...` encodes, or the text's own bytes.

    A `whsec_` secret that is not base64 (`check_secret` refuses it) counts as text.
    """
    encoded = secret.removeprefix(PREFIX)
    if encoded == secret or not _is_base64(encoded):
        return secret.encode()
    # b64decode ignores padding that it does not need.
    return b64decode(encoded + "==")


def generate_secret() -> str:
    """A new secret: `whsec_` and 32 random bytes in base64."""
    return PREFIX + b64encode(secrets.token_bytes(GENERATED_BYTES)).decode("ascii")


def check_secret(secret: str) -> list[Fault]:
    """What is wrong with a secret that a person chose; at most one fault, without a field path."""
    if not secret:
        return [Fault(FaultCode.REQUIRED, "The secret must not be empty.")]
    if len(secret) > LONGEST_SECRET:
        return [Fault(FaultCode.TOO_LONG, f"The secret may have at most {LONGEST_SECRET} characters.")]
    if not secret.isprintable() or secret != secret.strip():
        message = "The secret must consist of printable characters, with no space at either end."
        return [Fault(FaultCode.INVALID, message)]
    if secret.startswith(PREFIX) and not _is_base64(secret.removeprefix(PREFIX)):
        return [Fault(FaultCode.INVALID, f"A secret that starts with {PREFIX} must continue in base64.")]
    return []


def _is_base64(text: str) -> bool:
    # Padding may be left out, as in the keys of some libraries. One character beyond a group of four encodes nothing.
    return _BASE64.fullmatch(text) is not None and len(text.rstrip("=")) % 4 != 1
