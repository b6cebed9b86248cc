"""Documents: parsed, measured and validated once, and kept for the next request that sends the same one."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    parse,
    specified_rules,
    validate,
)
from graphql.validation.rules import overlapping_fields_can_be_merged as overlapping
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from api.complexity import LIMITS, Measure, Ruler, excess
from schema.errors import BAD_USER_INPUT, place_in_variables, without_value

QUERY_TOO_COMPLEX: Final = "QUERY_TOO_COMPLEX"

MAX_TOKENS = 2_000
# In characters. Blanks are no tokens, and one token may be as long as the document: 1 MiB took a second to parse, and
# two if the place of a fault had to be reported.
LONGEST_QUERY = 64 * 1024
MAX_ERRORS = 5
# The budget for comparing fields that share a response name, pair by pair: enough for 140 of them in one selection,
# also through fragments. graphql-core's default takes 0.15 s before it gives up, on each request that it refuses.
overlapping.MAX_COMPLEXITY_BUDGET = 20_000
# graphql-core's message for a validation that took too much.
ABORTED = "Validation aborted."
TOO_OFTEN = "The query has the same names or fragments too often in one place."
TOO_LONG = f"The query has more than {LONGEST_QUERY:,} characters. Put long values into variables."
TOO_DEEP = f"The query is nested more than {LIMITS.depth} levels deep."
KEPT_DOCUMENTS = 500
# Of all kept documents together. A token takes half a KiB, so they take some 40 MiB; 500 long ones would take 500 MiB.
KEPT_TOKENS = 80_000
# In characters. A longer document is parsed anew each time: it may be blanks, which are no tokens.
LONGEST_KEPT = 16 * 1024
KEPT_COSTS = 16
# No argument takes as many. Each entry becomes an object for each field that gets the variable.
MOST_IN_A_LIST = 1_000

# Classes, made once: a rule class made anew for each request would defeat every cache.
RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)


class BadDocument(Exception):
    """The document cannot be executed; says why in `errors`, each with a code."""

    def __init__(self, *errors: GraphQLError) -> None:
        super().__init__()
        self.errors = list(errors)


@dataclass
class Document:
    """A valid document within the limits."""

    text: str
    tree: DocumentNode
    operations: list[OperationDefinitionNode]
    schema: GraphQLSchema
    # Variables that set the size of a page or hold `ids`: the cost depends on no others.
    page_variables: tuple[str, ...]
    # Variables that may differ between the subscribers of one feed; set by api/live_feed.py.
    own_variables: frozenset[str] | None = None
    _costs: dict[Any, int] = field(default_factory=dict)

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """The operation to execute. Raises BadDocument if none has this name, or if there are several and no name."""
        if name is None and len(self.operations) == 1:
            return self.operations[0]
        for node in self.operations:
            if node.name and name is not None and node.name.value == name:
                return node
        if name is None:
            raise bad("Name the operation to execute in operationName: the document has several.")
        raise bad("The document has no operation of that name.")

    def cost(self, node: OperationDefinitionNode, variables: Mapping[str, Any]) -> int:
        """What executing this operation may cost. Raises BadDocument if that is more than is allowed."""
        key = (id(node), *(_size_in(variables, name) for name in self.page_variables))
        cost = self._costs.get(key)
        if cost is None:
            cost = Ruler(self.schema, self.tree, variables).operation(node).cost
            if len(self._costs) >= KEPT_COSTS:
                self._costs.clear()
            self._costs[key] = cost
        if cost > LIMITS.cost:
            raise bad(excess(Measure(cost=cost), 0) or "", QUERY_TOO_COMPLEX)
        return cost


def check_lists(variables: Mapping[str, Any]) -> None:
    """Raises BadDocument if a list in the variables is longer than any argument takes."""
    waiting: list[Any] = [variables]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            if len(value) > MOST_IN_A_LIST:
                found = f"A list in the variables has {len(value):,} entries; {MOST_IN_A_LIST:,} are allowed."
                raise bad(found, QUERY_TOO_COMPLEX)
            waiting += value
        elif isinstance(value, Mapping):
            waiting += value.values()


def _size_in(variables: Mapping[str, Any], name: str) -> Any:
    """All that the cost can depend on: the size of a page, or how many ids there are."""
    if name not in variables:
        return "left out"
    value = variables[name]
    if isinstance(value, list):
        return "ids", len(value)
    return value if isinstance(value, int | float) else "no size"


def bad(message: str, code: str = BAD_USER_INPUT) -> BadDocument:
    """A refusal with one sentence."""
    return BadDocument(GraphQLError(message, extensions={"code": code}))


class Documents:
    """Prepares documents for one schema, and keeps the last ones."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self.schema = schema
        self._kept: OrderedDict[str, Document] = OrderedDict()
        self._kept_tokens = 0

    def prepare(self, text: str) -> Document:
        """Parse, measure and validate, in this order and stopping at the first that fails. Raises BadDocument."""
        kept = self._kept.get(text)
        if kept is not None:
            self._kept.move_to_end(text)
            return kept
        document = self._prepare(text)
        if len(text) <= LONGEST_KEPT:
            self._keep(document)
        return document

    def _keep(self, document: Document) -> None:
        self._kept[document.text] = document
        self._kept_tokens += document.tree.token_count
        while len(self._kept) > KEPT_DOCUMENTS or self._kept_tokens > KEPT_TOKENS:
            _, oldest = self._kept.popitem(last=False)
            self._kept_tokens -= oldest.tree.token_count

    def _prepare(self, text: str) -> Document:
        if len(text) > LONGEST_QUERY:
            raise bad(TOO_LONG, QUERY_TOO_COMPLEX)
        try:
            tree = parse(text, max_tokens=MAX_TOKENS)
        except GraphQLError as error:
            raise _refusal_of_syntax(error) from None
        except RecursionError:
            raise bad(TOO_DEEP, QUERY_TOO_COMPLEX) from None
        operations = [each for each in tree.definitions if isinstance(each, OperationDefinitionNode)]
        ruler = Ruler(self.schema, tree)
        self._measure(ruler, operations)
        errors = self._validate(tree)
        if errors:
            raise at_fault(errors)
        if not operations:
            raise bad("The document has no operation.")
        return Document(text, tree, operations, self.schema, tuple(sorted(ruler.page_variables)))

    def _measure(self, ruler: Ruler, operations: list[OperationDefinitionNode]) -> None:
        total = Measure()
        try:
            for node in operations:
                # Validation looks at all operations, so their sum counts. The cost does not: only one is executed.
                measure = ruler.operation(node)
                total = total.beside(measure)
                if reason := excess(_without_cost(total), ruler.root_fields(node)):
                    raise bad(reason, QUERY_TOO_COMPLEX)
            if reason := excess(_without_cost(total.beside(ruler.unspread())), 0):
                raise bad(reason, QUERY_TOO_COMPLEX)
        except RecursionError:
            raise bad(TOO_DEEP, QUERY_TOO_COMPLEX) from None

    def _validate(self, tree: DocumentNode) -> list[GraphQLError]:
        try:
            errors = validate(self.schema, tree, RULES, max_errors=MAX_ERRORS)
        except RecursionError:
            raise bad(TOO_DEEP, QUERY_TOO_COMPLEX) from None
        if errors and errors[-1].message == ABORTED:
            raise bad(TOO_OFTEN, QUERY_TOO_COMPLEX)
        return errors


def _refusal_of_syntax(error: GraphQLError) -> BadDocument:
    if "tokens" in error.message:
        return bad(f"The query has more than {MAX_TOKENS:,} tokens.", QUERY_TOO_COMPLEX)
    if "nested too deeply" in error.message:
        return bad(TOO_DEEP, QUERY_TOO_COMPLEX)
    return at_fault([error])


def at_fault(errors: list[GraphQLError]) -> BadDocument:
    """A refusal with errors that graphql-core found in a document or in variables."""
    return BadDocument(*(_told(error) for error in errors))


def _told(error: GraphQLError) -> GraphQLError:
    strange = error.original_error is not None and not isinstance(error.original_error, GraphQLError)
    # Python's own message, for example about a number of 5,000 digits, would not help the client.
    message = "A value in the request cannot be read." if strange else without_value(error.message)
    extensions = {"code": BAD_USER_INPUT, **(error.extensions or {})}
    if place := place_in_variables(message):
        extensions["variable"] = place
    return GraphQLError(
        message, nodes=error.nodes, source=error.source, positions=error.positions, extensions=extensions
    )


def _without_cost(measure: Measure) -> Measure:
    return replace(measure, cost=0)
