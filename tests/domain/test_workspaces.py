"""Workspaces and their tokens."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from domain import workspaces
from domain.errors import FaultCode, Forbidden, Refused, Unauthenticated
from domain.tables import AuditEvent, Token, Workspace
from domain.unit import Actor, Domain
from domain.vocabulary import Role
from domain.workspaces import NewToken, authenticate, require
from tests.domain.at_once import beside

NOW = datetime.now(UTC)


async def token_of(domain: Domain, actor: Actor, new: NewToken) -> tuple[Token, str]:
    async with domain.unit(actor) as unit:
        return await workspaces.create_token(unit, new)


async def revoke(domain: Domain, actor: Actor, token_id: int) -> Token:
    async with domain.unit(actor) as unit:
        return await workspaces.revoke_token(unit, token_id)


def code_of(refused: pytest.ExceptionInfo[Refused]) -> list[FaultCode]:
    return [fault.code for fault in refused.value.faults]


async def test_a_token_opens_its_workspace(domain: Domain, admin: Actor) -> None:
    token, secret = await token_of(domain, admin, NewToken(" Robot ", Role.MEMBER))
    actor = await authenticate(secret, NOW)
    assert actor.workspace.id == admin.workspace.id
    assert actor.token is not None
    assert (actor.token.id, actor.role) == (token.id, Role.MEMBER)
    assert (token.name, token.prefix) == ("Robot", secret[:9])
    assert secret.startswith("hl_")


async def test_the_secret_is_nowhere_in_the_database(domain: Domain, admin: Actor) -> None:
    _, secret = await token_of(domain, admin, NewToken("Robot", Role.MEMBER))
    kept = [*await Token.all().values(), *await AuditEvent.all().values()]
    assert secret[10:] not in repr(kept)


@pytest.mark.parametrize("spoil", ["", "hl_", "hl_" + "0" * 49, "hl_\ud800", "Bearer"])
async def test_junk_is_refused_without_the_database(spoil: str) -> None:
    with pytest.raises(Unauthenticated):
        await authenticate(spoil, NOW)


async def test_one_wrong_character_is_refused_without_the_database(domain: Domain, admin: Actor) -> None:
    _, secret = await token_of(domain, admin, NewToken("Robot", Role.MEMBER))
    wrong = secret[:10] + ("a" if secret[10] != "a" else "b") + secret[11:]
    assert not workspaces._is_well_formed(wrong)
    with pytest.raises(Unauthenticated):
        await authenticate(wrong, NOW)


async def test_a_token_of_nobody_is_refused(domain: Domain) -> None:
    with pytest.raises(Unauthenticated):
        await authenticate(workspaces._generate(), NOW)


async def test_an_expired_token_is_refused(domain: Domain, admin: Actor) -> None:
    _, secret = await token_of(domain, admin, NewToken("Robot", Role.MEMBER, NOW + timedelta(days=1)))
    await authenticate(secret, NOW)
    with pytest.raises(Unauthenticated):
        await authenticate(secret, NOW + timedelta(days=1))


async def test_a_revoked_token_is_refused_and_may_be_revoked_again(domain: Domain, admin: Actor) -> None:
    token, secret = await token_of(domain, admin, NewToken("Robot", Role.MEMBER))
    first = await revoke(domain, admin, token.id)
    again = await revoke(domain, admin, token.id)
    assert first.revoked_at == again.revoked_at
    with pytest.raises(Unauthenticated):
        await authenticate(secret, NOW)
    assert await AuditEvent.filter(action="token.revoke").count() == 1


async def test_the_last_valid_admin_token_cannot_be_revoked(domain: Domain, admin: Actor) -> None:
    only, _ = await token_of(domain, admin, NewToken("Owner", Role.ADMIN))
    with pytest.raises(Refused) as refused:
        await revoke(domain, admin, only.id)
    assert code_of(refused) == [FaultCode.WRONG_STATE]
    await token_of(domain, admin, NewToken("Second", Role.ADMIN))
    assert (await revoke(domain, admin, only.id)).revoked_at is not None


@pytest.mark.parametrize(
    ("left", "is_enough"),
    [
        pytest.param(timedelta(minutes=1), False, id="about to end"),
        pytest.param(timedelta(hours=1), False, id="to the hour"),
        pytest.param(timedelta(hours=1, seconds=1), True, id="for longer"),
    ],
)
async def test_an_admin_token_that_ends_within_the_hour_is_none_to_fall_back_on(
    domain: Domain, admin: Actor, left: timedelta, is_enough: bool
) -> None:
    now = datetime.now(UTC)
    lasting, _ = await token_of(domain, admin, NewToken("Owner", Role.ADMIN))
    short, _ = await token_of(domain, admin, NewToken("Guest", Role.ADMIN, now + left))
    async with domain.unit(admin) as unit:
        if is_enough:
            await workspaces.revoke_token(unit, lasting.id, now)
        else:
            with pytest.raises(Refused) as refused:
                await workspaces.revoke_token(unit, lasting.id, now)
            assert code_of(refused) == [FaultCode.WRONG_STATE]
            await workspaces.revoke_token(unit, short.id, now)


async def test_two_revocations_at_once_leave_one_admin_token(domain: Domain, admin: Actor) -> None:
    first, second = [(await token_of(domain, admin, NewToken(name, Role.ADMIN)))[0] for name in "ab"]
    async with domain.unit(admin) as unit:
        await workspaces.revoke_token(unit, first.id)
        late = await beside(revoke(domain, admin, second.id))
    with pytest.raises(Refused) as refused:
        await late
    assert code_of(refused) == [FaultCode.WRONG_STATE]


async def test_last_use_is_noted_once_a_minute(domain: Domain, admin: Actor) -> None:
    token, secret = await token_of(domain, admin, NewToken("Robot", Role.MEMBER))
    for seconds, noted in ((0, 0), (59, 0), (60, 60)):
        opened = (await authenticate(secret, NOW + timedelta(seconds=seconds))).token
        assert opened is not None
        assert (await Token.get(id=token.id)).last_used_at == opened.last_used_at == NOW + timedelta(seconds=noted)


async def test_valid_tokens_are_told_from_others(domain: Domain, admin: Actor) -> None:
    good, _ = await token_of(domain, admin, NewToken("good", Role.ADMIN))
    short, _ = await token_of(domain, admin, NewToken("short", Role.ADMIN, NOW + timedelta(days=1)))
    gone, _ = await token_of(domain, admin, NewToken("gone", Role.VIEWER))
    await revoke(domain, admin, gone.id)
    ids = [good.id, short.id, gone.id]
    assert await workspaces.valid_tokens(ids, NOW) == {good.id, short.id}
    assert await workspaces.valid_tokens(ids, NOW + timedelta(days=1)) == {good.id}


async def test_another_workspace_s_token_does_not_exist(domain: Domain, admin: Actor) -> None:
    other = Actor(await workspaces.create("Other"), None, Role.ADMIN)
    token, _ = await token_of(domain, other, NewToken("theirs", Role.MEMBER))
    for unknown in (token.id, 2**70, -1):
        with pytest.raises(Refused) as refused:
            await revoke(domain, admin, unknown)
        assert code_of(refused) == [FaultCode.NOT_FOUND]


@pytest.mark.parametrize(
    ("new", "code"),
    [
        pytest.param(NewToken("", Role.ADMIN), FaultCode.REQUIRED, id="no name"),
        pytest.param(NewToken("n" * 201, Role.ADMIN), FaultCode.TOO_LONG, id="long name"),
        pytest.param(NewToken("a\x00b", Role.ADMIN), FaultCode.INVALID, id="NUL"),
        pytest.param(NewToken("a\ud800", Role.ADMIN), FaultCode.INVALID, id="half a surrogate pair"),
        pytest.param(NewToken("a", Role.ADMIN, NOW - timedelta(days=1)), FaultCode.OUT_OF_RANGE, id="expired"),
    ],
)
async def test_a_token_that_cannot_be_is_refused(domain: Domain, admin: Actor, new: NewToken, code: FaultCode) -> None:
    with pytest.raises(Refused) as refused:
        await token_of(domain, admin, new)
    assert code_of(refused) == [code]
    assert not await Token.exists()


async def test_a_workspace_has_a_limit_of_valid_tokens_also_for_those_made_at_once(
    domain: Domain, admin: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspaces, "MOST_TOKENS", 2)
    new = NewToken("Robot", Role.MEMBER)
    await token_of(domain, Actor(await workspaces.create("Other"), None, Role.ADMIN), new)
    await revoke(domain, admin, (await token_of(domain, admin, new))[0].id)
    results = await asyncio.gather(*(token_of(domain, admin, new) for _ in range(4)), return_exceptions=True)
    refusals = [result for result in results if isinstance(result, Refused)]
    assert [fault.code for refusal in refusals for fault in refusal.faults] == [FaultCode.LIMIT_REACHED] * 2
    assert await Token.filter(workspace_id=admin.workspace.id, revoked_at=None).count() == 2


async def test_a_workspace_s_name_is_taken_once(domain: Domain) -> None:
    results = await asyncio.gather(*(workspaces.create("Acme") for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(result, Workspace) for result in results) == 1
    assert (await workspaces.find("Acme")).name == "Acme"
    with pytest.raises(Refused):
        await workspaces.find("nobody\x00")


async def test_each_role_may_do_what_the_ones_below_may(workspace: Workspace) -> None:
    ranks = [Role.VIEWER, Role.MEMBER, Role.ADMIN]
    for mine, role in enumerate(ranks):
        for needed, other in enumerate(ranks):
            actor = Actor(workspace, None, role)
            if mine >= needed:
                require(actor, other)
            else:
                with pytest.raises(Forbidden):
                    require(actor, other)
