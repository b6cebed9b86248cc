"""What an engine sends, as a real receiver gets it: bytes, headers, method and URL."""

import hashlib
import hmac
import json
from urllib.parse import parse_qs

import pytest

from domain.payloads import instant
from domain.tables import Attempt, Delivery
from domain.unit import Actor, Domain
from domain.vocabulary import ContentType, DeliveryStatus, HttpMethod
from tests.domain.doing import happen, listen
from tests.receiver import Receiver
from tests.workers.delivering import all_due_now, finished
from workers.engine import Engine
from workers.rescue import Rescue


@pytest.mark.parametrize("method", list(HttpMethod))
async def test_a_delivery_arrives_signed_with_its_method_and_its_own_headers(
    domain: Domain, admin: Actor, rescue: Rescue, receiver: Receiver, method: HttpMethod
) -> None:
    await listen(domain, admin, callback_url=receiver.url, secret="s3cret", method=method, headers=(("X-Team", "a"),))
    await happen(domain, admin)

    await rescue.once()

    (request,) = await receiver.wait_for(1)
    assert request.method == method
    assert json.loads(request.body) == {"event": "account.deleted", "data": {"uuid": "x"}}
    assert request.headers["X-Signature"] == hmac.new(b"s3cret", request.body, hashlib.sha256).hexdigest()
    assert request.headers["X-Team"] == "a"


async def test_the_log_has_the_url_as_it_arrived(
    domain: Domain, admin: Actor, engine: Engine, rescue: Rescue, receiver: Receiver
) -> None:
    await listen(domain, admin, callback_url=receiver.url_of("/a/../in?to=%2Fcrm#part"))
    await happen(domain, admin)

    await rescue.once()

    (request,) = await receiver.wait_for(1)
    await finished(domain, engine)
    assert (await Attempt.get()).request_url == receiver.url_of(request.path) == receiver.url_of("/in?to=/crm")


async def test_a_form_carries_the_document_in_its_payload(
    domain: Domain, admin: Actor, rescue: Rescue, receiver: Receiver
) -> None:
    await listen(domain, admin, callback_url=receiver.url, content_type=ContentType.FORM)
    event = await happen(domain, admin)

    await rescue.once()

    (request,) = await receiver.wait_for(1)
    assert parse_qs(request.body.decode()) == {"payload": [event.document]}
    assert "X-Signature" not in request.headers


async def test_the_bytes_the_id_and_the_events_time_are_the_same_over_all_attempts(
    domain: Domain, admin: Actor, engine: Engine, rescue: Rescue, receiver: Receiver
) -> None:
    await listen(domain, admin, callback_url=receiver.url, secret="s3cret")
    event = await happen(domain, admin)
    receiver.answer(500, 302)

    for attempt in (1, 2, 3):
        await all_due_now()
        await rescue.once()
        await finished(domain, engine, attempt)

    requests = await receiver.wait_for(3)
    assert len({request.body for request in requests}) == 1
    assert {request.headers["webhook-id"] for request in requests} == {str(event.uuid)}
    assert {request.headers["X-Hookline-Occurred-At"] for request in requests} == {instant(event.occurred_at)}
    assert [request.headers["X-Hookline-Attempt"] for request in requests] == ["1", "2", "3"]
    (delivery,) = await Delivery.all()
    assert (delivery.status, delivery.attempt_count) == (DeliveryStatus.SUCCEEDED, 3)
