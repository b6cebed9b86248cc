"""Connections: keyset pages of a list, and its total if a client asks for it."""

from typing import Annotated, Any, Generic, Self, TypeVar

import strawberry
from tortoise.queryset import QuerySet

from domain import pages
from domain.database import turn
from domain.pages import PageRequest
from schema.nodes import reader, shown

N = TypeVar("N")

First = Annotated[
    int | None,
    strawberry.argument(description="How many entries, from the start or from `after` on: 0 to 100, 50 by default."),
]
After = Annotated[str | None, strawberry.argument(description="A cursor: only what comes after it in the list.")]
Last = Annotated[
    int | None,
    strawberry.argument(description="How many entries, counted from the end or from `before` back. Not with `first`."),
]
Before = Annotated[str | None, strawberry.argument(description="A cursor: only what comes before it in the list.")]


@strawberry.type(description="The position of a page in its list, and how to get to the next one.")
class PageInfo:
    has_next_page: bool = strawberry.field(
        description="Whether the list goes on after this page; with `first` and `before`, whether it does up to there."
    )
    has_previous_page: bool = strawberry.field(
        description="Whether something comes before this page; with `last` and `after`, whether it does back to there."
    )
    start_cursor: str | None = strawberry.field(
        default=None, description="The cursor of the first entry; hand it to `before` to page backward."
    )
    end_cursor: str | None = strawberry.field(
        default=None, description="The cursor of the last entry; hand it to `after` to page forward."
    )


@strawberry.type(description="One entry of a page together with its place in the list.")
class Edge(Generic[N]):
    cursor: str = strawberry.field(description="The entry's place in the list; it stays valid when others come and go.")
    node: N = strawberry.field(description="The entry itself.")


@strawberry.type(
    description=(
        "A page of a list. A cursor stands for an entry and not for a position, so nothing is shown twice or skipped "
        "while the list grows."
    )
)
class Connection(Generic[N]):
    nodes: list[N] = strawberry.field(description="The entries of this page.")
    page_info: PageInfo = strawberry.field(description="The position of this page in the list.")
    rows: strawberry.Private[list[Any]]
    whole: strawberry.Private[QuerySet[Any]]

    @strawberry.field(description="The entries of this page, each with its cursor.")
    def edges(self) -> list[Edge[N]]:
        table = self.whole.model
        return [
            Edge(cursor=pages.cursor_of(table, row.pk), node=node)
            for row, node in zip(self.rows, self.nodes, strict=True)
        ]

    @strawberry.field(description="How long the whole list is. Counted only when it is asked for.")
    async def total_count(self) -> int:
        async with turn():
            return await self.whole.count()

    @classmethod
    async def of(cls, whole: QuerySet[Any], request: PageRequest, *, descending: bool = True) -> Self:
        """One page of a list that is ordered by id. Raises Refused for a request that makes no sense."""
        page = await pages.page(whole, request, descending=descending, read=reader(whole.model))
        return cls(
            nodes=[shown(row) for row in page.nodes],
            page_info=PageInfo(
                has_next_page=page.has_next,
                has_previous_page=page.has_previous,
                start_cursor=page.start_cursor,
                end_cursor=page.end_cursor,
            ),
            rows=page.nodes,
            whole=whole,
        )
