"""Asking the schema as an API process does, one context for each operation."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import pytest

from domain import workspaces
from domain.tables import Workspace
from domain.unit import Actor, Domain
from domain.vocabulary import Role
from domain.workspaces import NewToken
from schema.context import Context
from schema.errors import present
from schema.schema import schema

Json = dict[str, Any]


@dataclass(frozen=True)
class Client:
    """Someone with a token."""

    domain: Domain
    actor: Actor

    @property
    def context(self) -> Context:
        return Context(self.domain, self.actor, "req-1")

    async def answer(self, document: str, **variables: Any) -> Json:
        """Data and errors, as a client gets them."""
        result = await schema.execute(document, variables, self.context)
        return _told(result)

    async def __call__(self, document: str, **variables: Any) -> Any:
        """The data; there must be no top-level errors."""
        answer = await self.answer(document, **variables)
        assert answer["errors"] == []
        return answer["data"]

    async def refused(self, document: str, **variables: Any) -> tuple[str, str]:
        """Code and message of the only top-level error; there must be one."""
        (error,) = (await self.answer(document, **variables))["errors"]
        return error["extensions"]["code"], error["message"]

    async def watch(self, document: str, **variables: Any) -> AsyncGenerator[Json, None]:
        """The results of a subscription."""
        results = await schema.subscribe(document, variables, self.context)
        async with aclosing(results):
            async for result in results:
                yield _told(result)


def _told(result: Any) -> Json:
    return {"data": result.data, "errors": [present(error, "req-1").formatted for error in result.errors or []]}


async def client(domain: Domain, workspace: Workspace, role: Role) -> Client:
    """Someone with a new token of this role."""
    maker = Actor(workspace, None, Role.ADMIN)
    async with domain.unit(maker) as unit:
        token, _ = await workspaces.create_token(unit, NewToken(role.value, role))
    return Client(domain, Actor(workspace, token, role))


@pytest.fixture
async def ask(domain: Domain, workspace: Workspace) -> Client:
    """An admin."""
    return await client(domain, workspace, Role.ADMIN)


@pytest.fixture
async def member(domain: Domain, workspace: Workspace) -> Client:
    return await client(domain, workspace, Role.MEMBER)


@pytest.fixture
async def viewer(domain: Domain, workspace: Workspace) -> Client:
    return await client(domain, workspace, Role.VIEWER)


@pytest.fixture
async def stranger(domain: Domain) -> Client:
    """An admin of another workspace."""
    return await client(domain, await workspaces.create("Elsewhere"), Role.ADMIN)
