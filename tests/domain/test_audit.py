"""What people did is kept with what they did."""

import pytest

from domain import audit, workspaces
from domain.tables import AuditEvent
from domain.unit import Actor, Domain
from domain.vocabulary import Role
from domain.workspaces import NewToken


async def test_a_row_tells_who_did_what_to_what(domain: Domain, admin: Actor) -> None:
    async with domain.unit(admin) as unit:
        token, _ = await workspaces.create_token(unit, NewToken("Robot", Role.MEMBER))
    async with domain.unit(Actor(admin.workspace, token, token.role)) as unit:
        await audit.record(unit, "post.publish", token, name="x")
    row = await AuditEvent.all().order_by("-id").first()
    assert row is not None
    assert (row.action, row.subject_type, row.subject_id, row.token_id, row.detail) == (
        "post.publish",
        "token",
        token.id,
        token.id,
        {"name": "x"},
    )


async def test_nothing_is_noted_of_what_was_rolled_back(domain: Domain, admin: Actor) -> None:
    async def fail_late() -> None:
        async with domain.unit(admin) as unit:
            await audit.record(unit, "post.publish")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_late()
    assert await AuditEvent.all().count() == 0
