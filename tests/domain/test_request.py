"""Requests: their exact bytes and headers, as the package of Standard Webhooks accepts them."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from domain.request import LARGE
from domain.version import VERSION
from domain.vocabulary import ContentType, HttpMethod
from tests.domain.assignment import (
    DELIVERY,
    FIRST,
    OTHER,
    PLAIN,
    TEXT,
    WHEN,
    each_content_type,
    each_secret,
    lower,
    sent,
)


def test_a_json_request_is_the_document_and_nothing_else() -> None:
    request = sent(secret=None)

    assert request.body == TEXT.encode()
    assert (request.url, request.method) == (FIRST.url, HttpMethod.POST)
    assert request.headers == (
        ("Content-Type", "application/json"),
        ("User-Agent", f"Hookline/{VERSION}"),
        ("X-Hookline-Event", "post.published"),
        ("X-Hookline-Occurred-At", "2026-03-02T08:30:00.999999Z"),
        ("X-Hookline-Delivery", DELIVERY),
        ("X-Hookline-Attempt", "1"),
        ("webhook-id", FIRST.event_uuid),
        ("webhook-timestamp", "1772443800"),
    )


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_form_carries_any_document_in_its_payload(text: str) -> None:
    request = sent(document=text, content_type=ContentType.FORM)

    assert parse_qs(request.body.decode("ascii"), keep_blank_values=True) == {"payload": [text]}
    assert request.body.decode() == urlencode({"payload": text})
    assert request.headers[0] == ("Content-Type", "application/x-www-form-urlencoded")


@each_content_type
def test_a_large_document_is_encoded_once_for_all_that_get_it(content_type: ContentType) -> None:
    text = "é" * LARGE
    first, second = (sent(document=text, content_type=content_type).body for _ in range(2))
    assert first is second
    assert sent(document=text + "!", content_type=content_type).body != first


@pytest.mark.parametrize("method", list(HttpMethod))
def test_a_request_has_the_method_and_the_url_of_its_webhook(method: HttpMethod) -> None:
    assert sent(method=method).method is method


def test_without_a_secret_nothing_is_signed() -> None:
    names = lower(sent(secret=None, previous_secret=OTHER)).keys()

    assert not names & {"x-signature", "x-signature-previous", "webhook-signature"}


def test_a_second_attempt_is_the_same_message_at_another_time() -> None:
    first, second = sent(), sent(WHEN + timedelta(minutes=5), number=2)

    assert second.body == first.body
    changed = {name for name, value in lower(second).items() if lower(first)[name] != value}
    assert changed == {"x-hookline-attempt", "webhook-timestamp", "webhook-signature"}


def test_a_webhooks_own_headers_come_last_and_never_replace_ours() -> None:
    own = (("X-Team", "blue"), ("x-signature", "0"), ("WEBHOOK-ID", "0"), ("Host", "inside"), ("content-length", "0"))

    assert sent(headers=own).headers == (*sent().headers, ("X-Team", "blue"))


def judge(secret: str) -> Webhook:
    return Webhook(secret if secret.startswith("whsec_") else secret.encode())


@each_secret
@each_content_type
def test_the_standard_webhooks_package_accepts_our_requests(secret: str, content_type: ContentType) -> None:
    request = sent(datetime.now(UTC), secret=secret, content_type=content_type)

    judge(secret).verify(request.body, dict(request.headers), json_parse=False)


@each_secret
def test_the_standard_webhooks_package_accepts_both_secrets_while_a_rotation_overlaps(secret: str) -> None:
    request = sent(datetime.now(UTC), secret=OTHER, previous_secret=secret)

    for either in (OTHER, secret):
        assert judge(either).verify(request.body, dict(request.headers)) == json.loads(TEXT)


@each_secret
def test_the_standard_webhooks_package_refuses_what_is_not_ours(secret: str) -> None:
    request = sent(datetime.now(UTC), secret=secret)
    headers = dict(request.headers)

    for wrong_secret, body, changes in (
        (OTHER, request.body, {}),
        (secret, request.body + b" ", {}),
        (secret, request.body, {"webhook-id": "msg_other"}),
        (secret, request.body, {"webhook-timestamp": str(int(headers["webhook-timestamp"]) - 1)}),
    ):
        with pytest.raises(WebhookVerificationError):
            judge(wrong_secret).verify(body, {**headers, **changes})


def test_the_old_secret_signs_in_a_header_of_its_own() -> None:
    both = lower(sent(secret=OTHER, previous_secret=PLAIN))

    assert both["x-signature"] == lower(sent(secret=OTHER))["x-signature"]
    assert both["x-signature-previous"] == lower(sent(secret=PLAIN))["x-signature"]
    assert both["webhook-signature"].split(" ") == [
        lower(sent(secret=secret))["webhook-signature"] for secret in (OTHER, PLAIN)
    ]
