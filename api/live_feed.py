"""Subscribing: finds or makes the feed that a subscription shares with its equals.

Subscriptions are equal if they have the same document, operation, workspace, role and variables. Variables that are
used for nothing but `after` may differ: each subscriber resumes from its own cursor.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final, cast

import orjson
from graphql import ArgumentNode, FieldNode, VariableNode, Visitor, visit
from graphql.execution.collect_fields import collect_fields
from graphql.execution.values import get_argument_values

from api.execution import Engine, Prepared
from api.feed import PASSING, Feed, Sink, Source
from api.metrics import Metrics
from api.recent import share_of
from api.turns import Turns
from domain.live import LiveAway
from domain.unit import Actor, Domain
from domain.vocabulary import Role
from schema.context import Context
from schema.subscriptions import FEEDS

# How many changes of one workspace's feeds are executed at a time: others get turns in between. One token may have
# 100,000 different subscriptions; 2,000 of them held up everybody for a second with each change.
CHANGES_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Key:
    """What equal subscriptions have in common."""

    text: str
    operation_name: str | None
    variables: bytes
    workspace_id: int
    role: Role


class Feeds:
    """The feeds of one process."""

    def __init__(self, engine: Engine, domain: Domain, metrics: Metrics) -> None:
        self.engine = engine
        self.domain = domain
        self.metrics = metrics
        self._feeds: dict[object, Feed] = {}
        self._turns = Turns(CHANGES_AT_ONCE)

    def __len__(self) -> int:
        return len(self._feeds)

    @property
    def members(self) -> int:
        """How many subscriptions are live."""
        return sum(len(feed.members) for feed in self._feeds.values())

    async def subscribe(self, prepared: Prepared, actor: Actor, sink: Sink, request_id: str) -> Feed:
        """Subscribe; returns once the subscriber has all that it missed and is live, which it stays until it leaves.

        Raises BadDocument, what the subscription itself raises, and LiveAway if a server of ours is out of reach.
        """
        # Each subscriber's variables are checked, though another subscriber's may be the ones that are executed.
        executor = self.engine.executor(prepared, Context(self.domain, actor, request_id))
        name, arguments = _root_field(executor)
        kind = FEEDS[name]
        turns = self._turns.of(actor.workspace.id)
        source = Source(self.engine, self.domain, actor, executor, kind.wanted(arguments), kind.root, turns)
        key = _key(prepared, actor)
        try:
            feed = await self._feed(key, source)
            await feed.join(sink, arguments.get("after"))
        except PASSING as error:
            raise LiveAway from error
        return feed

    async def _feed(self, key: Key, source: Source) -> Feed:
        while True:
            feed = self._feeds.get(key)
            if feed is None or feed.closed:
                feed = self._feeds[key] = Feed(source, self, key)
                await feed.start()
            # If it could not be started, the reason may concern its first subscriber alone, so this one tries too. Or
            # others have come and gone, and the feed closed before this one could join.
            if await asyncio.shield(feed.started) and not feed.closed:
                return feed

    def forget(self, feed: Feed) -> None:
        """Let the next equal subscription begin a new feed."""
        if self._feeds.get(feed.key) is feed:
            del self._feeds[feed.key]

    def share(self) -> int:
        """How many bytes each feed may remember just now."""
        return share_of(len(self._feeds))

    def executed(self) -> None:
        """One change was executed and encoded."""
        self.metrics.changes.inc()

    def sent(self, number: int) -> None:
        """One change went to so many subscribers."""
        self.metrics.frames.inc(number)

    async def close(self) -> None:
        """End all feeds."""
        for feed in tuple(self._feeds.values()):
            feed.close()


def _key(prepared: Prepared, actor: Actor) -> Key:
    own = _own_variables(prepared)
    variables = {name: value for name, value in prepared.asked.variables.items() if name not in own}
    return Key(
        prepared.document.text,
        prepared.asked.operation_name,
        orjson.dumps(variables, option=orjson.OPT_SORT_KEYS),
        actor.workspace.id,
        actor.role,
    )


def _own_variables(prepared: Prepared) -> frozenset[str]:
    """The variables that are used for nothing but `after` of a subscription."""
    document = prepared.document
    if document.own_variables is None:
        roots = document.schema.subscription_type.fields if document.schema.subscription_type else {}
        found = _Uses(frozenset(roots))
        visit(document.tree, found)
        document.own_variables = frozenset(found.after - found.elsewhere)
    return document.own_variables


class _Uses(Visitor):
    """Where variables are used."""

    def __init__(self, roots: frozenset[str]) -> None:
        super().__init__()
        self.roots = roots
        self.after: set[str] = set()
        self.elsewhere: set[str] = set()

    def enter_variable_definition(self, *_: Any) -> Any:
        """A declaration is not a use."""
        return self.SKIP

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        """Look for `after` among the arguments of a subscription's root field."""
        if node.name.value in self.roots:
            self.after |= {
                cast(VariableNode, each.value).name.value for each in node.arguments or () if _is_after(each)
            }

    def enter_argument(self, node: ArgumentNode, _key: Any, _parent: Any, _path: Any, ancestors: list[Any]) -> Any:
        """Skip what `enter_field` has counted."""
        field = ancestors[-2] if isinstance(ancestors[-1], tuple | list) else ancestors[-1]
        ours = isinstance(field, FieldNode) and field.name.value in self.roots and _is_after(node)
        return self.SKIP if ours else None

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        """Any other use."""
        self.elsewhere.add(node.name.value)


def _is_after(argument: ArgumentNode) -> bool:
    return argument.name.value == "after" and isinstance(argument.value, VariableNode)


def _root_field(executor: Any) -> tuple[str, dict[str, Any]]:
    """The name of a subscription's one root field, and its coerced arguments."""
    root = executor.schema.subscription_type
    fields = collect_fields(
        executor.schema, executor.fragments, executor.variable_values, root, executor.operation, False
    ).grouped_field_set
    details = next(iter(fields.values()))[0]
    name = details.node.name.value
    definition = executor.schema.get_field(root, name)
    values = get_argument_values(
        definition, details.node, executor.variable_values, details.fragment_variable_values, False
    )
    return name, values
