"""Which items look most like one, among those of a style, of some years, in a museum?

A vector index knows nothing of conditions: of its nearest hundred, one in a hundred may meet a narrow one. So the items
that meet it are counted first. Few are compared one by one, exactly; of many, the index is asked for so many that
enough of them match, and where that still falls short, all are compared. There are always k, if the graph has k.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cypher import Statement
from kg.classify import Similar, similar_items
from kg.errors import NodeNotFound, SchemaViolation
from kg.graph import Graph
from kg.importers.dates import read_years
from kg.schema import Domain, load_domain
from kg.statements import statement_for

__all__ = ["century_years", "find_similar"]

_EXACT_MOST = 20_000
"""Matching items up to which all are compared: about 15 microseconds each, where the index takes a few milliseconds."""

_ANY = (-9999, 9999)
_NO_LIMIT = 100_000_000


def find_similar(
    graph: Graph,
    domain: Domain | str,
    task: str | None,
    item: str,
    *,
    k: int = 5,
    related: Mapping[str, str] | None = None,
    years: tuple[int, int] | None = None,
    exact_most: int = _EXACT_MOST,
) -> list[Similar]:
    """The k other items that look most like `item` among those that meet all conditions, best first, scores exact.

    `related`: label -> key of a node that the items hang on, such as {"Style": "baroque"}; `years`: first and last.
    Raises: NodeNotFound (no such item or node, no vector, nothing published), SchemaViolation (items have no such
    relation, or no dates).
    """
    domain = load_domain(domain) if isinstance(domain, str) else domain
    if not related and years is None:
        return similar_items(graph, domain, task, item, k)
    conditions = [_condition(domain, label, key) for label, key in (related or {}).items()]
    statement = _statement(graph, domain, task, conditions)
    values = {"item": item, "domain": domain.domain, "task": domain.task_name(task), "k": k, **_dates(domain, years)}
    if conditions:
        values |= {"value": conditions[0]["value"], "others": conditions[1:]}
    rows = graph.run(statement, exact_most=exact_most, **values)
    if len(rows) < k and (not rows or len(rows) < rows[0]["matching"]):
        rows = graph.run(statement, exact_most=_NO_LIMIT, **values)
    if not rows:
        similar_items(graph, domain, task, item, 1)  # says what is wrong with the item, or nothing
        _require_nodes(graph, domain, conditions)
    return [Similar(**{name: value for name, value in row.items() if name != "matching"}) for row in rows]


def century_years(century: int) -> tuple[int, int]:
    """First and last year: the 17th century is 1601 to 1700."""
    years, why = read_years(f"{century}th century")
    if years is None:
        raise SchemaViolation(f"century {century}: {why}; write 17 for 1601 to 1700")
    return years.first, years.last


def _statement(graph: Graph, domain: Domain, task: str | None, conditions: list[dict[str, Any]]) -> Statement:
    if not conditions:
        return statement_for(graph, "items/similar_dated", domain, task)
    first = conditions[0]
    slots = {"start": first["label"], "start_key": first["key"], "how": first["types"][0]}
    return statement_for(graph, "items/similar_filtered", domain, task, slots=slots)


def _condition(domain: Domain, label: str, value: str) -> dict[str, Any]:
    types = [r.type for r in domain.relations if (r.source, r.target) == (domain.item, label)]
    if not types:
        known = sorted({r.target for r in domain.relations if r.source == domain.item})
        raise SchemaViolation(
            f"{domain.domain}: a {domain.item} has no relation to {label!r}; choose among {', '.join(known)}"
        )
    spelled = domain.canonical(label, value)
    return {"types": types[:1], "label": label, "key": domain.node_type(label).key, "value": spelled}


def _dates(domain: Domain, years: tuple[int, int] | None) -> dict[str, Any]:
    dates = domain.node_type(domain.item).dates
    if years is not None and not dates:
        raise SchemaViolation(f"{domain.domain}: no property of {domain.item} is declared as a date (`dates:`)")
    first, last = years or _ANY
    return {"date": dates[0] if dates else "", "first": first, "last": last}


def _require_nodes(graph: Graph, domain: Domain, conditions: list[dict[str, Any]]) -> None:
    for condition in conditions:
        label, value = condition["label"], condition["value"]
        statement = statement_for(graph, "items/node_exists", domain, slots={"label": label, "key": condition["key"]})
        if graph.one(statement, value=value) is None:
            raise NodeNotFound(f"{label} {value!r}: not in the graph; look for it by its {condition['key']}")
