import base64

import pytest

from domain import ids


def spelled(plain: str) -> str:
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def test_an_id_leads_back_to_its_key() -> None:
    assert ids.key("Webhook", ids.make("Webhook", 12)) == 12
    assert ids.key("Webhook", ids.make("Webhook", 2**63 - 1)) == 2**63 - 1
    assert ids.attempt_key(ids.make("Attempt", "12.3")) == (12, 3)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("12", id="a bare number"),
        pytest.param("Webhook:12", id="plain text"),
        pytest.param(spelled("Delivery:12"), id="another noun"),
        pytest.param(spelled("Webhook:0"), id="zero"),
        pytest.param(spelled("Webhook:-1"), id="negative"),
        pytest.param(spelled("Webhook:012"), id="leading zero"),
        pytest.param(spelled("Webhook:1.5"), id="an attempt's key"),
        pytest.param(spelled("Webhook:" + "9" * 30), id="too large for the database"),
        pytest.param(spelled("Webhook:9223372036854775808"), id="one too large"),
        pytest.param(spelled("Webhook:١٢"), id="other digits"),
        pytest.param(ids.make("Webhook", 1) + "=", id="padding"),
        pytest.param(ids.make("Webhook", 1) + "\n", id="a line end"),
        pytest.param("\0" * 8, id="NUL"),
        pytest.param("\ud800", id="half a surrogate pair"),
        pytest.param("ü" * 8, id="not ASCII"),
        pytest.param("A" * 100_000, id="huge"),
    ],
)
def test_what_is_no_id_of_the_noun_leads_nowhere(text: str) -> None:
    assert ids.key("Webhook", text) == ids.NOWHERE
    assert ids.attempt_key(text) is None


def test_another_spelling_of_the_same_bytes_is_no_id() -> None:
    genuine = ids.make("Webhook", 12)
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".index(genuine[-1])
    other = genuine[:-1] + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last + 1]
    assert base64.urlsafe_b64decode(other + "==") == base64.urlsafe_b64decode(genuine + "==")
    assert ids.key("Webhook", other) == ids.NOWHERE
