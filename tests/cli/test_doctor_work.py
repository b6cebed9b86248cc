"""`hookline doctor` says what is due and not done."""

from cli import doctor
from cli.doctor import Finding, Verdict
from domain.database import rows
from domain.unit import Actor, Domain
from tests.domain.doing import add_account, happen, listen, publish, write


async def test_work_that_nobody_does(domain: Domain, admin: Actor) -> None:
    await listen(domain, admin)
    await happen(domain, admin)
    await rows("UPDATE delivery SET due_at = now() - interval '30 seconds'")
    assert await doctor.work() == Finding("work", Verdict.OK, "deliveries due: 1, in flight: 0")
    await rows("UPDATE delivery SET due_at = now() - interval '10 minutes'")
    finding = await doctor.work()
    assert (finding.verdict, finding.says) == (Verdict.WARNING, "deliveries due: 1, the oldest for 10 min")
    assert finding.remedy.startswith("Start `hookline worker`")


async def test_posts_that_nobody_publishes(domain: Domain, admin: Actor) -> None:
    post = await write(domain, admin, await add_account(domain, admin))
    await publish(domain, admin, post.id)
    assert (await doctor.work()).verdict is Verdict.OK
    await rows("UPDATE post SET due_at = now() - interval '10 minutes'")
    assert (await doctor.work()).says == "posts due: 1, the oldest for 10 min"
