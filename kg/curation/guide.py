"""What does a curator see in Neo4j Browser: a guide whose queries are the saved statements, and a style for nodes?

`:play http://127.0.0.1:PORT/guide?graph=artgraph` opens the guide; the API serves it. Its queries are filled for the
domain, with an item and classes of this very graph, so that each works when it is clicked.
"""

from __future__ import annotations

import html
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from cypher import literal
from kg.curation.edits import os_user
from kg.errors import GraphError, StoreError
from kg.graph import Graph
from kg.schema import Domain
from kg.statements import browser_text, parse_values, statement_for

__all__ = ["GRASS", "guide_html"]

_FOLDER = Path(__file__).resolve().parents[2] / "data" / "browser"
GRASS = _FOLDER / "korvai.grass"
"""The style; Browser takes it by `:style URL`, or when the file is dropped on it."""


def guide_html(domain: Domain, *, graph: Graph | None = None, base_url: str) -> str:
    """The guide for a domain; examples come from the graph, where there is one that answers.

    Raises: StoreError when the template is not there, StatementError when it names an unknown statement.
    """
    task, asked = next(iter(domain.tasks.items()))
    example = _example(graph, domain, task)
    node = domain.item if domain.domain != "artgraph" else "Artist"
    page = _template().render(
        domain=domain,
        task=task,
        item_label=domain.item,
        item_key=domain.node_type(domain.item).key,
        class_label=asked.target,
        class_key=domain.node_type(asked.target).key,
        relation=asked.relation,
        merge_label=node,
        merge_key=domain.node_type(node).key,
        base_url=base_url,
        example=example,
        statement=lambda name, slots=None, /, **values: _runnable(domain, task, name, slots or {}, values),
    )
    return page


def _runnable(domain: Domain, task: str, name: str, slots: dict[str, str], values: dict[str, Any]) -> Markup:
    """A saved statement as a block that Browser runs at a click."""
    statement = statement_for(None, name, domain, task, slots=slots)
    known = {"domain": domain.domain, "task": task, "reviewer": os_user(), **values}
    text = browser_text(statement, parse_values(statement, {}, known))
    return Markup(f'<p>{html.escape(statement.summary)}</p>\n<pre class="runnable">{html.escape(text)}</pre>')


def _example(graph: Graph | None, domain: Domain, task: str) -> dict[str, str]:
    label = domain.task(task)[1].target
    made_up = {"item": f"a {domain.item}", "class": f"a {label}", "other_class": f"another {label}"}
    if graph is None:
        return made_up
    try:
        return graph.one(statement_for(graph, "items/examples", domain, task)) or made_up
    except GraphError:
        return made_up


@cache
def _template() -> Any:
    path = _FOLDER / "guide.html"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}); install Korvai again") from error
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters["cypher"] = literal
    return environment.from_string(text)
