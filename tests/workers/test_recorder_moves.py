"""The recorder, if a webhook got another URL while an attempt at the earlier one was under way."""

from datetime import timedelta

from domain import deliveries, webhooks
from domain.database import now
from domain.outcome import Answer, Failed
from domain.tables import Delivery, Webhook
from domain.unit import Actor, Domain
from domain.vocabulary import AttemptOutcome, DeliveryStatus, DeliveryWaitReason
from domain.webhooks import WebhookChanges
from tests.domain.attempting import SENT, TOOK
from tests.domain.untold import entries, statuses
from tests.waiting import until
from tests.workers.test_recorder import GONE, claimed, recorded
from workers.recorder import Recorder

NEW_URL = "https://new.example/hook"
LATER = Failed(AttemptOutcome.HTTP_ERROR, "503", TOOK, Answer(503, (), "", False), retry_after=timedelta(hours=20))


async def test_what_an_earlier_url_answered_says_nothing_of_the_new_one(domain: Domain, admin: Actor) -> None:
    (row,) = await claimed(domain, admin)
    await Webhook.all().update(callback_url=NEW_URL)

    async with Recorder(domain).running() as recorder:
        recorder.add(row, SENT, GONE)

    assert (await Delivery.get()).status is DeliveryStatus.FAILED
    assert (await Webhook.get()).active


async def test_what_an_earlier_url_put_off_is_sent_to_the_new_one_at_once(domain: Domain, admin: Actor) -> None:
    (row,) = await claimed(domain, admin)
    await Webhook.all().update(callback_url=NEW_URL)

    async with Recorder(domain).running() as recorder:
        recorder.add(row, SENT, LATER)

    assert await _waits_for_nothing()


async def test_what_an_earlier_url_puts_off_at_the_moment_of_the_change_is_sent_to_the_new_one_at_once(
    domain: Domain, admin: Actor
) -> None:
    (row,) = await claimed(domain, admin)
    domain.outlet.announce(deliveries.begun([row]))
    async with Recorder(domain).running() as recorder:
        async with domain.unit(admin) as unit:
            await webhooks.update(unit, row["webhook_id"], WebhookChanges(callback_url=NEW_URL))
            recorder.add(row, SENT, LATER)
            await recorded(1)
            assert not await _waits_for_nothing()

        await until(lambda: _is_told_of_a_retry(domain, admin))

    assert await _waits_for_nothing()
    assert (await entries(domain, admin))[-1].data["delivery"]["waiting_for"] == DeliveryWaitReason.QUEUED


async def _waits_for_nothing() -> bool:
    delivery = await Delivery.get(status=DeliveryStatus.RETRYING)
    return not delivery.retry_after and delivery.due_at <= await now()


async def _is_told_of_a_retry(domain: Domain, actor: Actor) -> bool:
    return DeliveryStatus.RETRYING in await statuses(domain, actor)
