"""Secrets at rest: AES-256-GCM, bound to the workspace, row and field that they belong to.

A sealed value is: version (1 byte), key id (4), nonce (12), ciphertext and tag. Moved to another row, it does not open.
"""

import hashlib
import os
from collections.abc import Iterable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.errors import HooklineError, Misconfigured
from domain.settings import KEY_BYTES

_VERSION = b"\x01"
_KEY_ID_BYTES = 4
# NIST SP 800-38D: 96 random bits; one key may seal 2**32 values.
_NONCE_BYTES = 12
_HEADER_BYTES = len(_VERSION) + _KEY_ID_BYTES
_LEAST_BYTES = _HEADER_BYTES + _NONCE_BYTES + 16


class CannotOpen(HooklineError):
    """A sealed value does not open: its key is not among HOOKLINE_SECRET_KEYS, or it was moved or damaged."""


class Vault:
    """Seals with the first of its keys, opens with any of them."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        """`keys` have 32 bytes each, the newest first. Raises Misconfigured otherwise."""
        given = tuple(keys)
        if not given or any(len(key) != KEY_BYTES for key in given):
            raise Misconfigured("HOOKLINE_SECRET_KEYS must hold at least one key, each of 32 bytes.")
        self._ciphers = {_key_id(key): AESGCM(key) for key in given}
        self._newest = _key_id(given[0])

    def seal(self, plain: bytes | str, *, workspace_id: int, row: str, field: str) -> bytes:
        """The value as it is stored; `row` is the row's uuid."""
        data = plain.encode() if isinstance(plain, str) else plain
        header = _VERSION + self._newest
        nonce = os.urandom(_NONCE_BYTES)
        bound = _bound_to(header, workspace_id, row, field)
        return header + nonce + self._ciphers[self._newest].encrypt(nonce, data, bound)

    def open(self, sealed: bytes, *, workspace_id: int, row: str, field: str) -> str:
        """The text that was sealed for exactly this place. Raises CannotOpen."""
        header, nonce = sealed[:_HEADER_BYTES], sealed[_HEADER_BYTES : _HEADER_BYTES + _NONCE_BYTES]
        cipher = self._ciphers.get(header[1:])
        if cipher is None or header[:1] != _VERSION or len(sealed) < _LEAST_BYTES:
            raise CannotOpen
        bound = _bound_to(header, workspace_id, row, field)
        try:
            return cipher.decrypt(nonce, sealed[_HEADER_BYTES + _NONCE_BYTES :], bound).decode()
        except (InvalidTag, UnicodeDecodeError):
            # `from None`: a traceback of the library's frames could show what it held.
            raise CannotOpen from None

    @property
    def newest_header(self) -> bytes:
        """The bytes that every value sealed with the newest key begins with."""
        return _VERSION + self._newest

    @property
    def has_old_keys(self) -> bool:
        """Whether there are keys besides the newest."""
        return len(self._ciphers) > 1

    def needs_reseal(self, sealed: bytes) -> bool:
        """Whether this was sealed with a key other than the newest, one that is to be removed."""
        return not sealed.startswith(self.newest_header)


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"hookline key id:" + key).digest()[:_KEY_ID_BYTES]


def _bound_to(header: bytes, workspace_id: int, row: str, field: str) -> bytes:
    # The header is bound as well, so that no other version or key id can be claimed for a value.
    return header + f"{workspace_id}|{row}|{field}".encode()
