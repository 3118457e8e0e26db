"""How does a newcomer see the whole of Korvai in one command? The main job, end to end, each step resumable."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table

from cli import context, panels

if TYPE_CHECKING:
    from pathlib import Path

    from cypher import Statement
    from kg.graph import Graph
    from kg.rendering import Craft
    from kg.settings import Settings
    from kg.store import Store

__all__ = ["LEFT_OUT", "register"]

LEFT_OUT = ("Paithani", "Ilkal")
"""Classes that the demo adds after training; chosen before anything was measured, one of silk, one of cotton."""


def register(app: typer.Typer) -> None:
    """Add `korvai demo`."""
    app.command(rich_help_panel=panels.START)(demo)


def demo(
    per_cluster: Annotated[int, typer.Option(help="Rendered sarees of each cluster.", min=8)] = 80,
    only: Annotated[str, typer.Option(help="Servers to start, separated by commas.")] = "neo4j,redis,worker,beat,api",
) -> None:
    """The main job: a saree craft graph in Neo4j, a GraphCLIP model trained on it, images classified by Cypher.

    Safe to stop and to repeat: what is done is kept. Nothing leaves this machine; servers listen on loopback.
    """
    from kg.graph import connect
    from kg.server import services
    from kg.store import Store

    started, settings = time.monotonic(), context.settings()
    _headline(1, "Servers: Neo4j with Browser, Redis, a worker, the schedule and the HTTP API")
    services.up(settings, tuple(only.split(",")), context.reporter())
    with connect(settings) as graph:
        _import(graph, Store(settings.store_dir), per_cluster)
        report = _learn(graph, settings)
        _classify(graph)
        _new_class(graph, settings)
    _farewell(settings, report, time.monotonic() - started)


def _headline(number: int, title: str) -> None:
    context.console.print()
    context.console.print(Rule(f"[bold]{number}. {title}", align="left", style="dim"))


def _import(graph: Graph, store: Store, per_cluster: int) -> None:
    from kg.importers.saree import import_saree

    _headline(2, "A craft graph, and sarees woven by the renderer from its facts")
    report = import_saree(graph, store, per_cluster=per_cluster, left_out=LEFT_OUT, reporter=context.reporter())
    nodes = {what: count for what, count in report.created.items() if count and "->" not in what}
    relations = sum(count for what, count in report.created.items() if "->" in what)
    made = ", ".join(f"{count:,} {label}" for label, count in sorted(nodes.items())) or "nothing new"
    context.console.print(f"imported: {made}" + (f", and {relations:,} relations" if relations else ""))
    context.console.print(f"[dim]Left out of the graph's classes until step 5: {', '.join(LEFT_OUT)}[/]")


def _learn(graph: Graph, settings: Settings) -> Path | None:
    from kg.publishing.activation import find_active_set
    from kg.schema import load_domain
    from training.run import retrain

    _headline(3, "Learn: texts and images to vectors, then GraphCLIP on graph and images; publish")
    if active := find_active_set(graph, "saree"):
        context.console.print(f"version {active.version} is active already; `korvai retrain --graph saree` trains anew")
        return None
    run, _ = retrain(graph, settings, load_domain("saree"), reporter=context.reporter())
    return run.folder.path / "report.html"


def _classify(graph: Graph) -> None:
    _headline(4, "Classify, by a Cypher query on the graph")
    _ask(graph, rendering_of("Kanchipuram"))


def _new_class(graph: Graph, settings: Settings) -> str:
    """Add each class left out, refresh, and answer the last query; returns its text."""
    _headline(5, f"New classes without retraining: {' and '.join(LEFT_OUT)}")
    item = rendering_of(LEFT_OUT[0])
    if missing := [name for name in LEFT_OUT if name not in _ranked(graph)]:
        context.console.print(f"A saree of a class the graph does not know yet ({LEFT_OUT[0]}):")
        _ask(graph, item, show_query=False)
        for name in missing:
            _add(graph, name)
        _refresh(graph, settings)
    right = {name: _recall(graph, name) for name in LEFT_OUT}
    told = ", ".join(f"{name} {share:.0%} of {count}" for name, (share, count) in right.items())
    context.console.print(f"Of their sarees, none of them trained on, ranked first: {told} [dim](chance 6 %)[/]")
    return _ask(graph, item)


def rendering_of(cluster: str) -> str:
    """The key of a cluster's first rendered saree."""
    from kg.importers.saree import rendering_name

    return rendering_name(cluster, 1)


def _add(graph: Graph, cluster: str) -> None:
    """What a curator would paste into Browser: the class with its relations."""
    from kg.rendering import load_craft
    from kg.statements import browser_text, statement_for

    craft = load_craft()
    node = next(p for label, p in craft.nodes() if label == "Cluster" and p["name"] == cluster)
    statement = statement_for(None, "clusters/add", "saree")
    values = {"name": cluster, "description": node["description"], **_known_of(craft, cluster, statement)}
    if cluster == LEFT_OUT[0]:
        context.console.print("What a curator types in Browser, here with all that the facts say of it:\n")
        _show_query(browser_text(statement, values, inline=True))
    row = graph.one(statement, **values)
    context.console.print(f"created {cluster} with {row['relations'] if row else 0} relations")


def _known_of(craft: Craft, cluster: str, statement: Statement) -> dict[str, Any]:
    """What the facts say of a cluster as parameters of clusters/add: names by relation, and how often each holds."""
    linked: dict[str, list[tuple[str, float | None]]] = {}
    for _, source, relation, _, target, said in craft.relations():
        if source == cluster:
            linked.setdefault(relation, []).append((target, said.get("share")))
    by_relation = {_relation_of(field.note): field.name for field in statement.params if " by " in field.note}
    names = {name: [target for target, _ in linked.get(relation, [])] for relation, name in by_relation.items()}
    shares = {relation: [share for _, share in linked[relation]] for relation in by_relation if relation in linked}
    return {**names, "shares": {relation: given for relation, given in shares.items() if any(given)}}


def _relation_of(note: str) -> str:
    """The relation type that a parameter's note in clusters/add names: `… by RELATION, default []`."""
    return note.partition(" by ")[2].partition(",")[0].strip()


def _refresh(graph: Graph, settings: Settings) -> None:
    from training.run import refresh

    started = time.monotonic()
    set_id = refresh(graph, settings, "saree", reporter=context.reporter())
    seconds = time.monotonic() - started
    context.console.print(f"`korvai refresh`: embedding set {set_id} is active after {seconds:.1f} s, nothing trained")


def _ranked(graph: Graph) -> set[str]:
    from kg.classify import class_list

    return {row["class"] for row in class_list(graph, "saree") if row["ranked"]}


def _recall(graph: Graph, cluster: str) -> tuple[float, int]:
    """Share of a left-out cluster's sarees that are ranked first as it, and how many there are."""
    from kg.classify import classify_item
    from kg.errors import NodeNotFound
    from kg.importers.saree import rendering_name

    right = count = 0
    with context.reporter().stage(f"asking for every saree of {cluster}", unit="sarees") as advance:
        while True:
            try:
                best = classify_item(graph, "saree", None, rendering_name(cluster, count + 1), k=1)[0]
            except NodeNotFound:
                return right / max(count, 1), count
            count, right = count + 1, right + (best.class_key == cluster)
            advance()


def _ask(graph: Graph, item: str, *, show_query: bool = True) -> str:
    """Run items/classify, print the query as Browser takes it, and its answer."""
    from kg.statements import browser_text, statement_for

    statement = statement_for(graph, "items/classify", "saree")
    values = {"item": item, "domain": "saree", "task": "cluster", "k": 3}
    text = browser_text(statement, values, inline=True)
    if show_query:
        context.console.print("Paste this into Neo4j Browser:\n")
        _show_query(text)
    table = Table("class", "probability", "score", title=item, title_justify="left")
    for row in graph.run(statement, **values):
        table.add_row(row["class"], f"{row['probability']:.4f}", f"{row['score']:.4f}")
    context.console.print(table)
    return text


def _show_query(text: str) -> None:
    """A query as it is: no frame and no wrapped line, so that it can be copied."""
    context.console.print(Syntax(text, "cypher", background_color="default"), soft_wrap=True)
    context.console.print()


def _farewell(settings: Settings, report: Path | None, seconds: float) -> None:
    from kg.server.connection import api_address, neo4j_address, neo4j_password_file

    address = neo4j_address(settings)
    _headline(6, f"Done in {seconds:.0f} s. Look around")
    lines = [
        f"Neo4j Browser  {address.browser_url}   user {address.user}, password: {neo4j_password_file(settings)}",
        f"Web page, API  {api_address(settings) or 'not started'}",
        f"Report         {report or settings.store_dir / 'runs'}",
        "Next           korvai classify IMAGE · korvai cypher --list · korvai import wikiart DIR · korvai down",
    ]
    context.console.print("\n".join(lines), soft_wrap=True)
