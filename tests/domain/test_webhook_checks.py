"""Which webhooks are refused, new or changed: all faults are told at once."""

from typing import Any

import pytest

from domain.errors import FaultCode, Refused
from domain.request import HIDDEN
from domain.tables import Webhook
from domain.unit import Actor, Domain
from tests.domain.doing import change_webhook, create_webhook, faults_of

LONG_URL = "https://a.example/" + "x" * 2048


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        pytest.param({"name": " "}, ("name", FaultCode.REQUIRED), id="blank name"),
        pytest.param({"name": "\u200b \ufeff"}, ("name", FaultCode.REQUIRED), id="name that nobody sees"),
        pytest.param({"name": "a\u202eb"}, ("name", FaultCode.INVALID), id="name that turns its line around"),
        pytest.param({"name": "n" * 201}, ("name", FaultCode.TOO_LONG), id="long name"),
        pytest.param({"name": "a\x00b"}, ("name", FaultCode.INVALID), id="NUL"),
        pytest.param({"name": "a\udc00"}, ("name", FaultCode.INVALID), id="half a surrogate pair"),
        pytest.param({"callback_url": ""}, ("callback_url", FaultCode.REQUIRED), id="no URL"),
        pytest.param({"callback_url": "nonsense"}, ("callback_url", FaultCode.INVALID), id="no URL at all"),
        pytest.param({"callback_url": "ftp://example.com"}, ("callback_url", FaultCode.INVALID), id="ftp"),
        pytest.param({"callback_url": "https://a/\x00"}, ("callback_url", FaultCode.INVALID), id="NUL in the URL"),
        pytest.param({"callback_url": "http://10.0.0.1/"}, ("callback_url", FaultCode.ADDRESS_REFUSED), id="inside"),
        pytest.param({"callback_url": LONG_URL}, ("callback_url", FaultCode.TOO_LONG), id="long URL"),
        pytest.param({"events": ()}, ("events", FaultCode.REQUIRED), id="no events"),
        pytest.param({"max_attempts": 0}, ("max_attempts", FaultCode.OUT_OF_RANGE), id="no attempts"),
        pytest.param({"max_attempts": 21}, ("max_attempts", FaultCode.OUT_OF_RANGE), id="21 attempts"),
        pytest.param({"secret": ""}, ("secret", FaultCode.REQUIRED), id="empty secret"),
        pytest.param({"secret": "s" * 10_000}, ("secret", FaultCode.TOO_LONG), id="long secret"),
        pytest.param({"secret": "a\nb"}, ("secret", FaultCode.INVALID), id="unprintable secret"),
        pytest.param({"secret": "a\ud800"}, ("secret", FaultCode.INVALID), id="half a pair in the secret"),
        pytest.param({"secret": "s", "generate_secret": True}, ("generate_secret", FaultCode.INVALID), id="both"),
        pytest.param({"headers": (("Host", "x"),)}, ("headers.0.name", FaultCode.INVALID), id="reserved header"),
        pytest.param({"headers": (("X", "a\r\nb"),)}, ("headers.0.value", FaultCode.INVALID), id="smuggled header"),
        pytest.param({"headers": (("X-Key", HIDDEN),)}, ("headers.0.value", FaultCode.INVALID), id="hidden header"),
    ],
)  # fmt: skip
async def test_what_cannot_be_is_refused_when_new_and_when_changed(
    domain: Domain, admin: Actor, asked: dict[str, Any], fault: tuple[str, FaultCode]
) -> None:
    with pytest.raises(Refused) as refused:
        await create_webhook(domain, admin, **asked)
    assert faults_of(refused) == {fault}
    assert not await Webhook.exists()
    if "generate_secret" in asked:
        return
    made, _ = await create_webhook(domain, admin)
    with pytest.raises(Refused) as refused:
        await change_webhook(domain, admin, made, **asked)
    assert faults_of(refused) == {fault}
    assert await Webhook.all().values() == [await Webhook.get(id=made.id).values()]


async def test_all_faults_are_told_at_once(domain: Domain, admin: Actor) -> None:
    with pytest.raises(Refused) as refused:
        await create_webhook(domain, admin, name="", callback_url="x", events=(), max_attempts=0, secret="")
    assert {field for field, _ in faults_of(refused)} == {"name", "callback_url", "events", "max_attempts", "secret"}


async def test_null_is_a_fault_where_there_must_be_something(domain: Domain, admin: Actor) -> None:
    made, _ = await create_webhook(domain, admin)
    with pytest.raises(Refused) as refused:
        await change_webhook(domain, admin, made, name=None, events=None, active=None)
    assert faults_of(refused) == {(name, FaultCode.REQUIRED) for name in ("name", "events", "active")}
