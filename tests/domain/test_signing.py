"""Signatures, against published vectors and another implementation."""

import re
from base64 import b64encode
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from domain.errors import FaultCode
from domain.signing import check_secret, generate_secret, hex_signature, standard_key, standard_signature

# The example of the Standard Webhooks specification's own tests.
KNOWN_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KNOWN_BODY = b'{"test": 2432232314}'


def test_the_hexadecimal_signature_is_that_of_rfc_4231() -> None:
    signature = hex_signature(b"Jefe", b"what do ya want for nothing?")

    assert signature == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


def test_the_standard_signature_is_that_of_the_specification() -> None:
    signature = standard_signature(standard_key(KNOWN_SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, KNOWN_BODY)

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.binary(min_size=1, max_size=80), st.text(st.characters(exclude_categories=["Cs"])))
def test_another_implementation_makes_the_same_standard_signature(key: bytes, body: str) -> None:
    ours = standard_signature(key, "msg_1", 1772443800, body.encode())

    assert ours == Webhook(key).sign("msg_1", datetime.fromtimestamp(1772443800, UTC), body)


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        pytest.param("whsec_aGVsbG8=", b"hello", id="encoded"),
        pytest.param("whsec_aGVsbG8", b"hello", id="encoded without padding"),
        pytest.param("aGVsbG8=", b"aGVsbG8=", id="base64 without the prefix is text"),
        pytest.param("grün", "grün".encode(), id="text that is not ASCII"),
        pytest.param("whsec_", b"whsec_", id="the prefix alone is text"),
        pytest.param("whsec_not base64", b"whsec_not base64", id="no base64 after the prefix is text"),
        pytest.param("whsec_aGVs-_==", b"whsec_aGVs-_==", id="the alphabet of URLs is text"),
        pytest.param("whsec_aGVsb", b"whsec_aGVsb", id="a length that base64 cannot have is text"),
    ],
)
def test_a_secret_means_what_it_encodes_after_its_prefix_and_else_itself(secret: str, key: bytes) -> None:
    assert standard_key(secret) == key


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_text_that_can_be_stored_breaks_the_key(secret: str) -> None:
    assert isinstance(standard_key(secret), bytes)
    assert isinstance(standard_key("whsec_" + secret), bytes)


@given(st.binary(min_size=1, max_size=80))
def test_every_encoded_key_comes_back(key: bytes) -> None:
    assert standard_key("whsec_" + b64encode(key).decode()) == key


def test_a_generated_secret_carries_32_bytes_and_is_never_the_same() -> None:
    secrets = {generate_secret() for _ in range(100)}

    assert len(secrets) == 100
    assert all(re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret) for secret in secrets)
    assert {len(standard_key(secret)) for secret in secrets} == {32}
    assert not any(check_secret(secret) for secret in secrets)


@pytest.mark.parametrize(
    ("secret", "code"),
    [
        pytest.param("", FaultCode.REQUIRED, id="empty"),
        pytest.param("x" * 501, FaultCode.TOO_LONG, id="too long"),
        pytest.param("x" * 10_000, FaultCode.TOO_LONG, id="far too long"),
        pytest.param("a\x00b", FaultCode.INVALID, id="NUL"),
        pytest.param("a\nb", FaultCode.INVALID, id="line end"),
        pytest.param(" abc", FaultCode.INVALID, id="space in front"),
        pytest.param("abc ", FaultCode.INVALID, id="space behind"),
        pytest.param("\ud800", FaultCode.INVALID, id="half of a surrogate pair"),
        pytest.param("whsec_", FaultCode.INVALID, id="nothing encoded"),
        pytest.param("whsec_***", FaultCode.INVALID, id="no base64 after the prefix"),
    ],
)
def test_a_secret_that_would_not_sign_as_people_expect_is_a_fault(secret: str, code: FaultCode) -> None:
    assert [fault.code for fault in check_secret(secret)] == [code]


@pytest.mark.parametrize("secret", ["s", "x" * 500, "pass phrase with spaces", "grün 🥖", KNOWN_SECRET])
def test_a_secret_that_people_choose_is_fine(secret: str) -> None:
    assert check_secret(secret) == []
