"""Which posts are refused, and why: all faults are told at once, and a preview counts as its network does."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import post_checks
from domain.errors import FaultCode, Faults, Refused
from domain.posts import Variant
from domain.tables import Account, Post, PostAccount
from domain.unit import Actor, Domain
from tests.domain.doing import change_post, faults_of, publish, write
from tests.domain.posting import SOON, schedule, told


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        pytest.param({"body": ""}, ("body", FaultCode.REQUIRED), id="no text"),
        pytest.param({"body": "a\x00"}, ("body", FaultCode.INVALID), id="NUL"),
        pytest.param({"body": "a\ud800"}, ("body", FaultCode.INVALID), id="half a surrogate pair"),
        pytest.param({"body": "b" * 20_001, "account_ids": ()}, ("body", FaultCode.TOO_LONG), id="very long text"),
        pytest.param({"account_ids": (2**70,)}, ("account_ids.0", FaultCode.NOT_FOUND), id="no such account"),
        pytest.param({"account_ids": tuple(range(51))}, ("account_ids", FaultCode.LIMIT_REACHED), id="51 accounts"),
        pytest.param({"variants": (Variant(1, "x"),) * 51}, ("variants", FaultCode.LIMIT_REACHED), id="51 variants"),
        pytest.param(
            {"variants": (Variant(999, "x"),)}, ("variants.0.account_id", FaultCode.INVALID), id="variant elsewhere"
        ),
        pytest.param(
            {"scheduled_at": SOON - timedelta(days=1)}, ("scheduled_at", FaultCode.OUT_OF_RANGE), id="in the past"
        ),
        pytest.param(
            {"scheduled_at": SOON + timedelta(days=2000)}, ("scheduled_at", FaultCode.OUT_OF_RANGE), id="far ahead"
        ),
        pytest.param(
            {"scheduled_at": SOON, "account_ids": ()}, ("account_ids", FaultCode.REQUIRED), id="a time, no account"
        ),
        pytest.param({"idempotency_key": ""}, ("idempotency_key", FaultCode.REQUIRED), id="blank key"),
        pytest.param({"idempotency_key": "k" * 201}, ("idempotency_key", FaultCode.TOO_LONG), id="long key"),
    ],
)
async def test_what_cannot_be_is_refused(
    domain: Domain, admin: Actor, account: Account, asked: dict[str, Any], fault: tuple[str, FaultCode]
) -> None:
    with pytest.raises(Refused) as refused:
        await write(domain, admin, account, **asked)
    assert faults_of(refused) == {fault}
    assert not await Post.exists()
    assert await told() == []


async def test_what_just_fits_is_refused_for_no_limit_of_ours(domain: Domain, admin: Actor, account: Account) -> None:
    variants = (Variant(account.id, "x" * 20_000),) * 2
    with pytest.raises(Refused) as refused:
        await write(domain, admin, account, body="b" * 10_000, variants=variants)
    # The text is too long for its account, not for Hookline.
    assert faults_of(refused) == {
        ("variants.1.account_id", FaultCode.TAKEN),
        ("variants.1.body", FaultCode.TOO_LONG),
    }
    with pytest.raises(Refused) as refused:
        await write(domain, admin, account, account_ids=tuple(range(1000, 1050)))
    assert {code for _, code in faults_of(refused)} == {FaultCode.NOT_FOUND}


def test_a_time_is_ahead_and_by_no_more_than_five_years() -> None:
    moment, years = timedelta(microseconds=1), timedelta(days=5 * 365)
    refused = []
    for ahead in (timedelta(0), moment, years, years + moment):
        faults = Faults()
        post_checks.check_time(faults, SOON + ahead, now=SOON)
        refused.append(bool(faults))
    assert refused == [True, False, False, True]


async def test_all_that_is_wrong_is_told_at_once(domain: Domain, admin: Actor, account: Account) -> None:
    with pytest.raises(Refused) as refused:
        await write(
            domain, admin, account, idempotency_key=" ", account_ids=(2**70,), scheduled_at=SOON - timedelta(days=1)
        )
    assert {field for field, _ in faults_of(refused)} == {"idempotency_key", "account_ids.0", "scheduled_at"}
    long = (Variant(account.id, "x" * 50_000), Variant(999, "x"))
    with pytest.raises(Refused) as refused:
        await write(domain, admin, account, account_ids=(account.id, 2**70), variants=long)
    assert faults_of(refused) == {
        ("variants", FaultCode.TOO_LONG),
        ("variants.1.account_id", FaultCode.INVALID),
        ("account_ids.1", FaultCode.NOT_FOUND),
    }


async def test_a_text_too_long_for_an_account_names_it_and_its_limit(
    domain: Domain, admin: Actor, account: Account
) -> None:
    with pytest.raises(Refused) as refused:
        await write(domain, admin, account, body="x" * 501)
    [fault] = refused.value.faults
    assert (fault.field, fault.code) == (("body",), FaultCode.TOO_LONG)
    assert account.name in fault.message
    assert "500 characters" in fault.message
    fits = (Variant(account.id, "short"),)
    await write(domain, admin, account, body="x" * 501, variants=fits)
    with pytest.raises(Refused) as refused:
        await write(domain, admin, account, variants=(Variant(account.id, "x" * 501),))
    assert faults_of(refused) == {("variants.0.body", FaultCode.TOO_LONG)}


async def test_a_stored_text_that_fits_no_more_is_told_of_at_its_place_whatever_is_changed(
    domain: Domain, admin: Actor, account: Account
) -> None:
    post = await write(domain, admin, account, variants=(Variant(account.id, "short"),))
    # As if its network now allowed less than before.
    await PostAccount.filter(post_id=post.id).update(variant="x" * 501)
    with pytest.raises(Refused) as refused:
        await change_post(domain, admin, post.id, body="Another text")
    assert faults_of(refused) == {("variants.0.body", FaultCode.TOO_LONG)}


async def test_a_text_far_too_long_is_one_fault_and_not_one_for_each_account(
    domain: Domain, admin: Actor, account: Account
) -> None:
    with pytest.raises(Refused) as refused:
        await write(domain, admin, account, body="x" * 20_001)
    assert len(refused.value.faults) == 1


async def test_line_ends_are_text(domain: Domain, admin: Actor, account: Account) -> None:
    assert (await write(domain, admin, account, body="one\n\ttwo 👨‍👩‍👧")).body == "one\n\ttwo 👨‍👩‍👧"


async def test_null_is_a_fault_where_there_must_be_something(domain: Domain, admin: Actor, account: Account) -> None:
    post = await write(domain, admin, account)
    with pytest.raises(Refused) as refused:
        await change_post(domain, admin, post.id, body=None, account_ids=None)
    assert faults_of(refused) == {("body", FaultCode.REQUIRED), ("account_ids", FaultCode.REQUIRED)}


async def test_a_scheduled_post_keeps_an_account(domain: Domain, admin: Actor, account: Account) -> None:
    post = await write(domain, admin, account, scheduled_at=SOON)
    with pytest.raises(Refused) as refused:
        await change_post(domain, admin, post.id, account_ids=())
    assert faults_of(refused) == {("account_ids", FaultCode.REQUIRED)}


async def test_a_deleted_account_may_stay_but_not_come(domain: Domain, admin: Actor, account: Account) -> None:
    post = await write(domain, admin, account)
    await Account.filter(id=account.id).update(deleted_at=datetime.now(UTC))
    await change_post(domain, admin, post.id, body="New")
    with pytest.raises(Refused) as refused:
        await write(domain, admin, account)
    assert faults_of(refused) == {("account_ids.0", FaultCode.NOT_FOUND)}


async def test_nothing_is_published_to_nowhere(domain: Domain, admin: Actor) -> None:
    post = await write(domain, admin)
    for verb in (schedule(domain, admin, post.id, SOON), publish(domain, admin, post.id)):
        with pytest.raises(Refused) as refused:
            await verb
        assert faults_of(refused) == {("id", FaultCode.REQUIRED)}


async def test_a_preview_counts_as_the_network_does(admin: Actor, account: Account) -> None:
    measure = await post_checks.preview(admin.workspace, "see https://example.com", account.id)
    assert (measure.length, measure.limit, measure.links) == (23, 500, ("https://example.com",))


async def test_a_text_that_no_post_could_have_is_not_counted(admin: Actor, account: Account) -> None:
    for text, code in (("x" * 20_001, FaultCode.TOO_LONG), ("\x00", FaultCode.INVALID)):
        with pytest.raises(Refused) as refused:
            await post_checks.preview(admin.workspace, text, account.id)
        assert faults_of(refused) == {("body", code)}
    assert (await post_checks.preview(admin.workspace, "", account.id)).length == 0
