"""What the unoptimised plan of a query tells: the tables that the original's ETag knows, and what it cannot run.

The original walks that plan without its subqueries in expressions (`SELECT (SELECT …)`, `IN (SELECT …)`, `EXISTS`,
`HAVING … (SELECT …)`). DataFusion prints the same plan for EXPLAIN VERBOSE, one node a line, indented by depth, with
such subqueries as nodes `Subquery:` below a node whose text says `<subquery>`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .errors import QueryError

SUBQUERY = "<subquery>"
SCALAR_SUBQUERY = re.compile(r"(?<!IN )(?<!EXISTS )(?<!ANY )(?<!ALL )\(<subquery>\)")
SCAN = "TableScan: "
INDENT = 2


class EnginePanic(Exception):
    """The original's engine panics on this query: its connection breaks without an answer, other requests go on."""


@dataclass
class Node:
    """One node of a plan."""

    text: str
    children: "list[Node]"

    def inputs(self) -> "Iterator[Node]":
        """The nodes whose rows this one takes. A subquery of an expression is none; a LATERAL one is."""
        for child in self.children:
            if not (child.text == "Subquery:" and SUBQUERY in self.text):
                yield child

    def walk(self) -> "Iterator[Node]":
        """This node and all below it, those in subqueries too."""
        yield self
        for child in self.children:
            yield from child.walk()


def parse_plan(text: str) -> Node:
    """The tree of a plan as DataFusion prints it. Lines that literals break are taken for nodes, and do no harm."""
    root = Node("", [])
    path = [root]
    for line in text.splitlines():
        stripped = line.lstrip(" ")
        depth = min((len(line) - len(stripped)) // INDENT, len(path) - 1)
        node = Node(stripped, [])
        path[depth].children.append(node)
        path[depth + 1 :] = [node]
    return root


def scanned(plan: Node) -> Iterator[str]:
    """The names, as the query writes them, of the tables that the original's ETag is made of."""
    if plan.text.startswith(SCAN):
        yield plan.text.removeprefix(SCAN)
    for child in plan.inputs():
        yield from scanned(child)


def check_supported(plan: Node, delta_tables: set[str]) -> None:
    """Fail as the original does over these Delta tables; raises EnginePanic for EXISTS, QueryError for HAVING."""
    nodes = list(plan.walk())
    if not any(node.text.removeprefix(SCAN) in delta_tables for node in nodes if node.text.startswith(SCAN)):
        return
    for node in nodes:
        if not node.text.startswith("Filter: "):
            continue
        if f"EXISTS ({SUBQUERY})" in node.text:
            raise EnginePanic
        is_having = any(child.text.startswith("Aggregate: ") for child in node.inputs())
        if is_having and SCALAR_SUBQUERY.search(node.text):
            raise QueryError("Error during planning: HAVING with a scalar subquery is not supported")
