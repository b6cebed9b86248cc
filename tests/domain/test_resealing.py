"""Changing keys: nothing is lost on the way, whoever writes at the same time."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from domain import accounts, resealing, webhooks
from domain.database import rows
from domain.resealing import SEALED, Sealed, reseal, sealed_in
from domain.tables import Account, Webhook
from domain.unit import Actor, Domain
from domain.vault import Vault
from tests.conftest import SECRET_KEY
from tests.domain.doing import add_account, change_webhook, listen
from workers.reseal import Resealing

NEW_KEY = bytes(range(100, 132))
DAY = timedelta(days=1)
HEADERS = (("Authorization", "Bearer abc"), ("X-Team", "a"))


@pytest.fixture
def rotated() -> Vault:
    """A vault that seals with the new key and still opens what the old one sealed."""
    return Vault((NEW_KEY, SECRET_KEY))


async def furnish(domain: Domain, admin: Actor) -> tuple[Webhook, Account]:
    """Something in every column that is sealed: six values."""
    webhook = await listen(domain, admin, secret="first", headers=HEADERS)
    await listen(domain, admin, secret="bare")
    async with domain.unit(admin) as unit:
        webhook, _ = await webhooks.rotate_secret(unit, webhook.id, "second", DAY)
    await listen(domain, admin)
    await add_account(domain, admin, identifier="first")
    return webhook, await add_account(domain, admin, identifier="second")


async def all_sealed() -> list[Sealed]:
    return [value for table in SEALED for value in sealed_in(table, await rows(f"SELECT * FROM {table} ORDER BY id"))]


async def opened(vault: Vault, webhook_id: int) -> tuple[str | None, ...]:
    webhook = await Webhook.get(id=webhook_id)
    return webhooks._open(vault, webhook, "sealed_secret"), webhooks._open(vault, webhook, "sealed_previous_secret")


async def walk(vault: Vault) -> tuple[int, int]:
    """How many values were sealed anew, and how many no key opens."""
    found = [batch async for batch in resealing.batches(vault)]
    return sum(batch.resealed for batch in found), sum(len(batch.unopened) for batch in found)


async def test_every_sealed_column_is_known() -> None:
    columns = {
        (model._meta.db_table, name)
        for model in (Webhook, Account)
        for name in model._meta.fields_map
        if name.startswith("sealed_")
    }
    assert columns == {(table, column) for table, names in SEALED.items() for column in names}


async def test_everything_is_sealed_anew_and_opens_without_the_old_key(
    domain: Domain, admin: Actor, rotated: Vault
) -> None:
    webhook, account = await furnish(domain, admin)
    assert await resealing.left(rotated) == 6

    assert await walk(rotated) == (6, 0)

    assert await resealing.left(rotated) == 0
    alone = Vault((NEW_KEY,))
    assert await opened(alone, webhook.id) == ("second", "first")
    assert webhooks.opened_headers(alone, await Webhook.get(id=webhook.id)) == HEADERS
    fresh = await Account.get(id=account.id)
    assert accounts.opened_credentials(alone, fresh) == accounts.opened_credentials(domain.vault, account)
    assert await walk(rotated) == (0, 0)


async def test_what_was_changed_meanwhile_is_left_as_it_was_changed(
    domain: Domain, admin: Actor, rotated: Vault
) -> None:
    webhook, _ = await furnish(domain, admin)
    read = await all_sealed()
    newer = replace(domain, vault=rotated)
    await change_webhook(newer, admin, webhook, secret="third", headers=None)

    batch = await reseal(rotated, read)

    # By then, three values of one webhook were gone: its secret, its previous secret and its headers.
    assert (batch.resealed, batch.unopened) == (3, [])
    assert await opened(rotated, webhook.id) == ("third", None)
    assert await resealing.left(rotated) == 0


async def test_nothing_is_lost_when_secrets_change_all_the_time(domain: Domain, admin: Actor, rotated: Vault) -> None:
    older = Vault((SECRET_KEY, NEW_KEY))
    hooks = [await listen(domain, admin, secret=f"secret-{number}-0") for number in range(8)]

    async def change(number: int, webhook: Webhook) -> None:
        for turn in range(1, 11):
            # Some of the changes come from a process that knows both keys, but still seals with the old one.
            async with replace(domain, vault=older if turn <= 5 else rotated).unit(admin) as unit:
                await webhooks.rotate_secret(unit, webhook.id, f"secret-{number}-{turn}", DAY)

    changing = asyncio.gather(*(change(number, webhook) for number, webhook in enumerate(hooks)))
    while not changing.done():
        await walk(rotated)
    await changing
    await walk(rotated)

    assert await resealing.left(rotated) == 0
    alone = Vault((NEW_KEY,))
    for number, webhook in enumerate(hooks):
        assert await opened(alone, webhook.id) == (f"secret-{number}-10", f"secret-{number}-9")


async def test_a_value_that_no_key_opens_is_named_and_left_alone(domain: Domain, admin: Actor) -> None:
    webhook = await listen(domain, admin, secret="lost")
    strangers = Vault((NEW_KEY, bytes(32)))

    (batch,) = [batch async for batch in resealing.batches(strangers)]

    assert (batch.resealed, [str(value) for value in batch.unopened]) == (0, [f"webhook {webhook.uuid}, sealed_secret"])
    assert (await Webhook.get(id=webhook.id)).sealed_secret == webhook.sealed_secret


async def test_a_look_opens_every_value_and_changes_nothing(domain: Domain, admin: Actor, rotated: Vault) -> None:
    await furnish(domain, admin)
    before = await all_sealed()
    for vault, counts in ((rotated, (6, 0)), (Vault((NEW_KEY,)), (0, 6))):
        looked = await resealing.look(vault, DAY)
        assert (looked.opened, len(looked.unopened), looked.all_of_them) == (*counts, True)
    assert await all_sealed() == before


async def test_the_worker_does_it_a_batch_at_a_step_and_then_rests(
    domain: Domain, admin: Actor, rotated: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.resealing.BATCH", 2)
    await furnish(domain, admin)
    left = [await resealing.left(rotated)]
    step = Resealing(replace(domain, vault=rotated))
    for _ in range(5):
        await step.once()
        left.append(await resealing.left(rotated))
    assert left == [6, 2, 2, 0, 0, 0]
    await rows("UPDATE webhook SET sealed_secret = NULL")
    webhook = await listen(domain, admin, secret="late")
    await step.once()
    assert (await Webhook.get(id=webhook.id)).sealed_secret == webhook.sealed_secret


async def test_after_its_rest_the_worker_begins_again(
    domain: Domain, admin: Actor, rotated: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.reseal.REST_SECONDS", 0)
    await furnish(domain, admin)
    step = Resealing(replace(domain, vault=rotated))
    with capture_logs() as lines:
        for _ in range(5):
            await step.once()
        # As by a process that has not been restarted yet, and still seals with the old key.
        await listen(domain, admin, secret="late")
        assert await resealing.left(rotated) == 1

        for _ in range(5):
            await step.once()

    assert await resealing.left(rotated) == 0
    # The late value came after the second walk had passed its place.
    assert [(line["values"], line["left"]) for line in lines] == [(6, 0), (0, 1), (1, 0)]


async def test_the_worker_names_what_no_key_opens_and_counts_it(domain: Domain, admin: Actor) -> None:
    webhook, account = await listen(domain, admin, secret="lost"), await add_account(domain, admin)
    step = Resealing(replace(domain, vault=Vault((NEW_KEY, bytes(32)))))

    with capture_logs() as lines:
        for _ in range(3):
            await step.once()

    *named, told = lines
    assert [line["value"] for line in named] == [
        f"webhook {webhook.uuid}, sealed_secret", f"account {account.uuid}, sealed_credentials",
    ]  # fmt: skip
    assert (told["values"], told["unopened"], told["left"]) == (0, 2, 2)


async def test_with_one_key_the_worker_looks_at_nothing(domain: Domain, admin: Actor) -> None:
    await furnish(domain, admin)
    step = Resealing(replace(domain, vault=Vault((NEW_KEY,))))
    with capture_logs() as lines:
        await step.once()
    assert lines == []
