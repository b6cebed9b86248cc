"""Who may do what. Every mutation, and every query that is not for all, declares its role with these decorators.

All other fields are for every role. schema/vocabulary.py says what each role may do.
"""

from collections.abc import Awaitable, Callable
from typing import Any, cast

import strawberry
from strawberry.extensions import FieldExtension

from domain.errors import Refused
from domain.vocabulary import Role
from domain.workspaces import require
from schema.context import Info
from schema.errors import user_errors


class ForRole(FieldExtension):
    """Lets a field be resolved for this role and the ones above it, and raises Forbidden for the others."""

    def __init__(self, role: Role) -> None:
        self.role = role

    async def resolve_async(
        self, next_: Callable[..., Awaitable[Any]], source: Any, info: Info, **arguments: Any
    ) -> Any:
        require(info.context.actor, self.role)
        return await next_(source, info, **arguments)


class Verb(ForRole):
    """A mutation: it needs its role, and what it refuses becomes the `errors` of its payload."""

    async def resolve_async(
        self, next_: Callable[..., Awaitable[Any]], source: Any, info: Info, **arguments: Any
    ) -> Any:
        require(info.context.actor, self.role)
        info.context.forget()
        try:
            return await next_(source, info, **arguments)
        except Refused as refused:
            return _payload(info)(errors=user_errors(refused, frozenset(arguments)))


def mutation(role: Role, description: str) -> Any:
    """Declare a mutation that this role and the ones above it may use."""
    return strawberry.mutation(extensions=[Verb(role)], description=description)


def query(role: Role, description: str) -> Any:
    """Declare a query that only this role and the ones above it may use."""
    return strawberry.field(extensions=[ForRole(role)], description=description)


def _payload(info: Info) -> Callable[..., Any]:
    return cast("Callable[..., Any]", info.return_type)
