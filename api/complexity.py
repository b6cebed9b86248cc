"""How much a document asks for: one walk over it, in time linear in its length.

Every fragment is measured once, however often it is spread, so fragments that multiply each other cost no time. The
numbers saturate at ENDLESS. The walk runs before full validation, so it trusts nothing: unknown fields, types and
fragments count little here, and validation refuses them afterwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
)

from domain.pages import DEFAULT_SIZE, LARGEST_SIZE

ENDLESS = 10**9
# How many entries a list without pages is assumed to have: attempts of a delivery, headers. A post's lists count
# more, because they may have 50.
PLAIN_LIST = 5
POST_LISTS = {"accounts": 20, "variants": 20}
# A page is a database statement of its own, wherever it is selected, and often this statement counts as well.
PAGE_COST = 10
MUTATION_COST = 10
# Lists of the introspection that multiply when nested: types.fields.type.fields...
_INTROSPECTION_LISTS = frozenset({"fields", "inputFields", "interfaces", "possibleTypes", "types"})


@dataclass(frozen=True, slots=True)
class Measure:
    """What one selection asks for, including the fragments that it spreads."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    introspections: int = 0
    introspection_lists: int = 0
    # Values that the introspection returns for it.
    introspected: float = 0
    # Objects that it may load or build.
    cost: int = 0

    def beside(self, other: "Measure") -> "Measure":
        """This selection and another one at the same level."""
        return Measure(
            max(self.depth, other.depth),
            min(self.fields + other.fields, ENDLESS),
            min(self.aliases + other.aliases, ENDLESS),
            min(self.directives + other.directives, ENDLESS),
            min(self.introspections + other.introspections, ENDLESS),
            max(self.introspection_lists, other.introspection_lists),
            min(self.introspected + other.introspected, ENDLESS),
            min(self.cost + other.cost, ENDLESS),
        )


# What a request may ask for. GraphiQL's introspection is 15 deep, nests 2 lists and selects 230 fields: 12,000 values.
LIMITS = Measure(
    depth=20,
    fields=1_000,
    aliases=100,
    directives=100,
    introspections=3,
    introspection_lists=3,
    introspected=15_000,
    cost=10_000,
)
MAX_ROOT_FIELDS = 30

_WORDS = {
    "depth": "is nested {found} levels deep; {limit} are allowed",
    "fields": "selects {found} fields; {limit} are allowed",
    "aliases": "has {found} aliases; {limit} are allowed",
    "directives": "has {found} directives; {limit} are allowed",
    "introspections": "introspects {found} times; {limit} are allowed",
    "introspection_lists": "nests {found} lists of the introspection; {limit} are allowed",
    "introspected": "asks for some {found:,.0f} values of the introspection; {limit:,} are allowed",
    "cost": "may cost {found}; {limit} are allowed. Ask for smaller pages (first, last)",
}


def excess(measure: Measure, root_fields: int) -> str | None:
    """Why this is more than a request may ask for, as a sentence; None if it is not."""
    for name, words in _WORDS.items():
        found, limit = getattr(measure, name), getattr(LIMITS, name)
        if found > limit:
            shown = "endlessly many" if found >= ENDLESS else found
            return f"The query {words.format(found=shown, limit=limit)}."
    if root_fields > MAX_ROOT_FIELDS:
        return f"The query has {root_fields} root fields; {MAX_ROOT_FIELDS} are allowed."
    return None


@dataclass
class Ruler:
    """Measures the operations of one document, with the variables of one request."""

    schema: GraphQLSchema
    document: DocumentNode
    variables: Mapping[str, Any] = field(default_factory=dict)
    # Names of the variables that set the size of a page or hold `ids`: the cost depends on no others.
    page_variables: set[str] = field(default_factory=set)
    _fragments: dict[str, FragmentDefinitionNode] = field(init=False)
    _measured: dict[str, Measure | None] = field(default_factory=dict)
    _defaults: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        definitions = self.document.definitions
        self._fragments = {each.name.value: each for each in definitions if isinstance(each, FragmentDefinitionNode)}

    def operation(self, node: OperationDefinitionNode) -> Measure:
        """The measure of one operation. Raises RecursionError if it is nested too deeply for the stack."""
        root = self.schema.get_root_type(node.operation)
        self._defaults = {each.variable.name.value: each.default_value for each in node.variable_definitions or ()}
        measure = self._selection(node.selection_set, root, 1)
        if node.operation is OperationType.MUTATION:
            cost = measure.cost + MUTATION_COST * self.root_fields(node)
            measure = replace(measure, cost=min(cost, ENDLESS))
        return replace(measure, directives=measure.directives + len(node.directives or ()))

    def unspread(self) -> Measure:
        """The measure of the fragments that no operation spreads: they are validated all the same."""
        total = Measure()
        for name in self._fragments:
            if name not in self._measured:
                total = total.beside(self._spread(name))
        return total

    def root_fields(self, node: OperationDefinitionNode) -> int:
        """How many root fields an operation selects, including those within fragments."""
        counts: dict[str, int] = {}
        return self._count(node.selection_set, counts)

    def _count(self, selection_set: SelectionSetNode, counts: dict[str, int]) -> int:
        total = 0
        for node in selection_set.selections:
            if isinstance(node, FieldNode):
                total += 1
            elif isinstance(node, InlineFragmentNode):
                total += self._count(node.selection_set, counts)
            elif isinstance(node, FragmentSpreadNode):
                name = node.name.value
                if name not in counts:
                    counts[name] = 0  # for a fragment that spreads itself
                    fragment = self._fragments.get(name)
                    counts[name] = self._count(fragment.selection_set, counts) if fragment else 0
                total += counts[name]
        return min(total, ENDLESS)

    def _selection(
        self, selection_set: SelectionSetNode | None, parent: GraphQLNamedType | None, depth: int
    ) -> Measure:
        total = Measure()
        if selection_set is None:
            return total
        if depth > LIMITS.depth:
            return Measure(depth=LIMITS.depth + 1)  # refused anyway, so the rest need not be measured
        for node in selection_set.selections:
            total = total.beside(self._node(node, parent, depth))
        return total

    def _node(self, node: SelectionNode, parent: GraphQLNamedType | None, depth: int) -> Measure:
        if isinstance(node, FieldNode):
            measure = self._field(node, parent, depth)
        elif isinstance(node, InlineFragmentNode):
            condition = node.type_condition
            inner = self.schema.get_type(condition.name.value) if condition else parent
            # This nests the stack deeper, though not the answer.
            measure = self._selection(node.selection_set, inner, depth + 1)
        elif isinstance(node, FragmentSpreadNode):
            measure = self._spread(node.name.value)
        else:
            measure = Measure()
        if not node.directives:
            return measure
        return replace(measure, directives=min(measure.directives + len(node.directives), ENDLESS))

    def _spread(self, name: str) -> Measure:
        if name not in self._measured:
            self._measured[name] = None  # under way: a fragment that spreads itself has no end
            fragment = self._fragments.get(name)
            if fragment is None:
                self._measured[name] = Measure()
            else:
                inner = self.schema.get_type(fragment.type_condition.name.value)
                self._measured[name] = self._selection(fragment.selection_set, inner, 1)
        return self._measured[name] or Measure()

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None, depth: int) -> Measure:
        name = node.name.value
        definition = self._definition(parent, name)
        type_ = get_named_type(definition.type) if definition else None
        inner = self._selection(node.selection_set, type_, depth + 1)
        within_introspection = parent is not None and parent.name.startswith("__")
        lists = int(within_introspection and name in _INTROSPECTION_LISTS)
        return Measure(
            depth=inner.depth + 1,
            fields=min(inner.fields + 1, ENDLESS),
            aliases=min(inner.aliases + (node.alias is not None), ENDLESS),
            directives=inner.directives,
            introspections=min(inner.introspections + (name in {"__schema", "__type"}), ENDLESS),
            introspection_lists=inner.introspection_lists + lists,
            introspected=self._introspected(name, inner) if within_introspection else inner.introspected,
            cost=0 if within_introspection else self._cost(node, definition, inner),
        )

    def _introspected(self, name: str, inner: Measure) -> float:
        """How many values the introspection returns here. A list counts its mean number of entries in the schema."""
        return min(_lengths(self.schema).get(name, 1.0) * (1 + inner.introspected), ENDLESS)

    def _definition(self, parent: GraphQLNamedType | None, name: str) -> GraphQLField | None:
        return (
            self.schema.get_field(parent, name)
            if isinstance(parent, GraphQLObjectType | GraphQLInterfaceType)
            else None
        )

    def _cost(self, node: FieldNode, definition: GraphQLField | None, inner: Measure) -> int:
        """An object costs 1 plus what is in it; a list, that times its entries; a page, PAGE_COST plus what it holds. A
        plain value costs nothing, or 1 under an alias."""
        if node.name.value.startswith("__"):
            return 0
        if node.selection_set is None:
            return int(node.alias is not None)
        if definition and "first" in definition.args and "last" in definition.args:
            return min(PAGE_COST + self._page_size(node) * inner.cost, ENDLESS)
        return min(self._size(node, definition) * (1 + inner.cost), ENDLESS)

    def _size(self, node: FieldNode, definition: GraphQLField | None) -> int:
        """How many objects a field without pages returns. A page's own list is counted with the page."""
        if definition and "ids" in definition.args:
            return self._ids(node)
        is_list = definition is not None and is_list_type(get_nullable_type(definition.type))
        name = node.name.value
        return POST_LISTS.get(name, PLAIN_LIST) if is_list and name not in {"nodes", "edges"} else 1

    def _page_size(self, node: FieldNode) -> int:
        sizes = [self._value(each.value) for each in node.arguments or () if each.name.value in {"first", "last"}]
        # GraphQL accepts 10.0 as 10.
        whole = [int(min(size, LARGEST_SIZE)) for size in sizes if isinstance(size, int | float)]
        return max(0, max(whole, default=DEFAULT_SIZE))

    def _ids(self, node: FieldNode) -> int:
        sizes = [self._value(each.value) for each in node.arguments or () if each.name.value == "ids"]
        return next((len(size) for size in sizes if isinstance(size, list | tuple)), 1)

    def _value(self, node: Any) -> Any:
        if isinstance(node, VariableNode):
            name = node.name.value
            self.page_variables.add(name)
            return self.variables[name] if name in self.variables else self._value(self._defaults.get(name))
        if isinstance(node, ListValueNode):
            return node.values
        # A number of any length gets here. Those beyond any page's size are all the same.
        if isinstance(node, IntValueNode):
            return int(node.value) if len(node.value) < 10 else LARGEST_SIZE
        return None


@cache
def _lengths(schema: GraphQLSchema) -> dict[str, float]:
    """How many entries the lists of the introspection have, on average. The same holds for a list nested in itself."""
    types = schema.type_map.values()
    fields = [field for type_ in types for field in getattr(type_, "fields", {}).values()]
    arguments = sum(len(field.args) for field in fields if isinstance(field, GraphQLField))
    values = sum(len(type_.values) for type_ in types if isinstance(type_, GraphQLEnumType))
    a_type = {"fields": len(fields), "inputFields": len(fields), "enumValues": values}
    means = {name: found / len(types) for name, found in a_type.items()}
    # The wrappers of a type ("!" and lists) end soon.
    means["ofType"] = 0.5
    return {"types": len(types), "args": arguments / len(fields), "directives": len(schema.directives), **means}
