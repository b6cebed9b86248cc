"""Secrets at rest."""

import os

import pytest

from domain.errors import Misconfigured
from domain.vault import CannotOpen, Vault

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
ROW = "0c9d3b0e-6f0b-4f43-9f0e-2f0d3a5f6a7b"
OTHER_ROW = "1c9d3b0e-6f0b-4f43-9f0e-2f0d3a5f6a7b"


def seal(vault: Vault, plain: bytes | str = "whsec_hush") -> bytes:
    return vault.seal(plain, workspace_id=1, row=ROW, field="secret")


def open_(vault: Vault, sealed: bytes, *, workspace_id: int = 1, row: str = ROW, field: str = "secret") -> str:
    return vault.open(sealed, workspace_id=workspace_id, row=row, field=field)


@pytest.mark.parametrize("plain", ["whsec_hush", "", "grüße 🔑", "x" * 100_000])
def test_what_is_sealed_opens_in_its_place(plain: str) -> None:
    vault = Vault([NEW])
    assert open_(vault, seal(vault, plain)) == plain
    assert open_(vault, seal(vault, plain.encode())) == plain


@pytest.mark.parametrize(
    "place",
    [{"workspace_id": 2}, {"workspace_id": 11}, {"row": OTHER_ROW}, {"field": "headers"}, {"field": "previous_secret"}],
    ids=str,
)
def test_a_value_that_was_moved_does_not_open(place: dict[str, str | int]) -> None:
    vault = Vault([NEW])
    with pytest.raises(CannotOpen):
        vault.open(seal(vault), **{"workspace_id": 1, "row": ROW, "field": "secret", **place})  # type: ignore[arg-type]


def test_no_byte_of_a_sealed_value_can_be_changed() -> None:
    vault = Vault([NEW, OLD])
    sealed = seal(vault)
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(CannotOpen):
            open_(vault, bytes(changed))


@pytest.mark.parametrize("length", [0, 1, 5, 17, 32])
def test_a_value_that_was_cut_does_not_open(length: int) -> None:
    vault = Vault([NEW])
    with pytest.raises(CannotOpen):
        open_(vault, seal(vault)[:length])


def test_noise_does_not_open() -> None:
    with pytest.raises(CannotOpen):
        open_(Vault([NEW]), os.urandom(64))


def test_what_is_no_text_does_not_open() -> None:
    vault = Vault([NEW])
    with pytest.raises(CannotOpen):
        open_(vault, seal(vault, b"\xff"))


def test_the_same_secret_looks_different_each_time() -> None:
    vault = Vault([NEW])
    assert seal(vault) != seal(vault)
    assert b"hush" not in seal(vault)


def test_a_new_key_seals_and_the_old_one_still_opens() -> None:
    before, after = Vault([OLD]), Vault([NEW, OLD])
    old = seal(before)
    assert open_(after, old) == "whsec_hush"
    assert after.needs_reseal(old)
    fresh = seal(after)
    assert not after.needs_reseal(fresh)
    with pytest.raises(CannotOpen):
        open_(before, fresh)


def test_a_key_that_is_gone_opens_nothing() -> None:
    with pytest.raises(CannotOpen):
        open_(Vault([NEW]), seal(Vault([OLD])))


@pytest.mark.parametrize("keys", [[], [b"short"], [NEW, b""]], ids=str)
def test_keys_of_the_wrong_size_are_refused(keys: list[bytes]) -> None:
    with pytest.raises(Misconfigured):
        Vault(keys)


def test_neither_the_vault_nor_its_error_shows_a_secret() -> None:
    vault = Vault([NEW])
    sealed = seal(vault)
    with pytest.raises(CannotOpen) as caught:
        open_(vault, sealed, row=OTHER_ROW)
    shown = f"{vault!r} {caught.value!r} {caught.value} {caught.value.__cause__!r}"
    assert "hush" not in shown
    assert NEW.hex() not in shown
    assert caught.value.__suppress_context__, "what the library held would be in the traceback"
