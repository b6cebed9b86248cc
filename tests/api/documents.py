"""Random subscriptions: valid documents made from everything that the schema offers."""

import random
from collections.abc import Iterator

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_required_argument,
)

DEEPEST = 4
MOST_FIELDS = 4
# Nodes of a connection. Few, so that documents stay within the limits.
FEW = 2


class Documents:
    """Makes one random document after the other."""

    def __init__(self, schema: GraphQLSchema, rand: random.Random) -> None:
        self._schema = schema
        self._rand = rand
        self._fragments: list[str] = []
        self._aliases = iter(range(10**6))

    def subscription(self, field: str) -> str:
        """A subscription to this field of the root, from the oldest change on. It may need `$yes: Boolean!`."""
        root = self._schema.subscription_type
        assert root is not None
        self._fragments = []
        selection = self._selection(root.fields[field].type, 0)
        body = " ".join([f'{{ {self._alias(field)}(after: "0") {selection} }}', *self._fragments])
        return f"subscription{'($yes: Boolean!)' if '$yes' in body else ''} {body}"

    def _selection(self, of: GraphQLOutputType, depth: int) -> str:
        named = get_named_type(of)
        assert isinstance(named, GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType)
        fields = {} if isinstance(named, GraphQLUnionType) else named.fields
        offered = [name for name, field in fields.items() if self._fits(field, depth)]
        chosen = self._rand.sample(offered, min(len(offered), self._rand.randint(1, MOST_FIELDS)))
        parts = [self._field(name, fields[name], depth) for name in chosen]
        parts = [self._wrapped(part, named.name) for part in parts]
        return f"{{ {' '.join(parts) or '__typename'} }}"

    def _fits(self, field: GraphQLField, depth: int) -> bool:
        is_leaf = not hasattr(get_named_type(field.type), "fields")
        return (is_leaf or depth < DEEPEST) and not any(map(is_required_argument, field.args.values()))

    def _field(self, name: str, field: GraphQLField, depth: int) -> str:
        arguments = f"(first: {FEW})" if "first" in field.args else ""
        is_leaf = not hasattr(get_named_type(field.type), "fields")
        selection = "" if is_leaf else " " + self._selection(field.type, depth + 1)
        condition = self._rand.choice(["", "", "", " @include(if: $yes)", " @skip(if: $yes)"])
        return f"{self._alias(name)}{arguments}{condition}{selection}"

    def _alias(self, name: str) -> str:
        return self._rand.choice([name, f"a{next(self._aliases)}: {name}"])

    def _wrapped(self, part: str, type_name: str) -> str:
        """The field as it is, or in a fragment."""
        number = next(self._aliases)
        match self._rand.randrange(6):
            case 0:
                return f"... on {type_name} {{ {part} }}"
            case 1:
                self._fragments.append(f"fragment f{number} on {type_name} {{ {part} }}")
                return f"...f{number}"
            case 2:
                return f"... @include(if: $yes) {{ __typename {part} }}"
            case _:
                return part


def many(schema: GraphQLSchema, rand: random.Random) -> Iterator[str]:
    """An endless series of documents about deliveries and posts."""
    documents = Documents(schema, rand)
    while True:
        yield documents.subscription("deliveryStatusChanged")
        yield documents.subscription("postStatusChanged")
