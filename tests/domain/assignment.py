"""An assignment, the secrets that it is signed with, and the request that is built from it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.payloads import document
from domain.request import Assignment, OutgoingRequest, build
from domain.signing import generate_secret
from domain.vocabulary import ContentType, EventType

PLAIN = "correct horse battery"
ENCODED = generate_secret()
OTHER = generate_secret()
DELIVERY = "7d0f4c3e-5a0e-4a3b-9d57-0c1f3f0b8a11"
WHEN = datetime(2026, 3, 2, 9, 30, 0, 999_999, tzinfo=UTC)

TEXT = document(EventType.POST_PUBLISHED, {"name": "Ada's Bäckerei 🥖 & Söhne", "n": [1, "a+b=c%20"]})
FIRST = Assignment(
    delivery_uuid=DELIVERY,
    number=1,
    event_uuid="0f6a2f8e-2c57-4f0b-b1d4-6b1a7f0c9d33",
    event_type=EventType.POST_PUBLISHED,
    occurred_at=WHEN - timedelta(hours=1),
    document=TEXT,
    url="https://receiver.example/hooks?source=hookline",
    secret=PLAIN,
)
each_secret = pytest.mark.parametrize("secret", [pytest.param(PLAIN, id="plain"), pytest.param(ENCODED, id="whsec")])
each_content_type = pytest.mark.parametrize("content_type", list(ContentType), ids=lambda value: value.name.lower())


def sent(now: datetime = WHEN, **changes: Any) -> OutgoingRequest:
    return build(replace(FIRST, **changes), now)


def lower(request: OutgoingRequest) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers}
