"""How does a person take the part of a graph that lies around some nodes?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from cli import context, panels
from kg.errors import SettingsError

if TYPE_CHECKING:
    from kg.snapshots.neighbourhood import Neighbourhood
    from kg.snapshots.sampling import Caps

__all__ = ["register"]

Graph_ = Annotated[str, typer.Option("--graph", help="Name of the domain, or a YAML file of one's own.")]
Seeds_ = Annotated[list[str], typer.Option("--seeds", help="Key of a node to begin at; give it once for each.")]
FanOuts_ = Annotated[
    str, typer.Option("--fan-outs", help="Neighbours a node and relation, hop by hop; -1 takes all, 0 none.")
]
Relations_ = Annotated[
    list[str] | None,
    typer.Option("--fan-out", metavar="RELATION=N,N", help="Of one relation; rev_RELATION is its way back."),
]
Out_ = Annotated[Path | None, typer.Option("--out", help="Folder for the snapshot; without it, only counts are shown.")]
Snapshot_ = Annotated[str | None, typer.Option("--snapshot", help="Ask this snapshot (its hash) and not the graph.")]


def register(app: typer.Typer) -> None:
    """Add `korvai neighbourhood`."""
    app.command(rich_help_panel=panels.DATA)(neighbourhood)


def neighbourhood(
    label: Annotated[str, typer.Option("--label", help="Node type of the seeds.")],
    seeds: Seeds_,
    graph: Graph_ = "artgraph",
    fan_outs: FanOuts_ = "10,10",
    fan_out: Relations_ = None,
    out: Out_ = None,
    snapshot: Snapshot_ = None,
    rng_seed: Annotated[int, typer.Option("--rng-seed", help="The same one takes the same neighbourhood.")] = 0,
    max_nodes: Annotated[int, typer.Option(min=1, help="Never more nodes.")] = 100_000,
    max_edges: Annotated[int, typer.Option(min=1, help="Never more relations.")] = 1_000_000,
    max_mib: Annotated[float, typer.Option(min=0.001, help="Never more ids, keys and texts.")] = 256.0,
) -> None:
    """What lies around some nodes, as a small snapshot: at most so many neighbours a node, relation and hop.

    Chance picks by key and seed, so the graph and a snapshot of it give the
    same. A cap that is reached ends the walk, and is told.

      korvai neighbourhood --label Style --seeds baroque --fan-outs 10,10 --out around-baroque
      korvai neighbourhood --label Artist --seeds claude-monet --fan-outs 5,5 --fan-out rev_Author=50,0
    """
    from kg.snapshots.sampling import Caps

    caps = Caps(max_nodes, max_edges, int(max_mib * 1024 * 1024))
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SettingsError(f"neighbourhood: --out {out} exists and is not an empty folder; choose another")
    found = _found(graph, snapshot, label, seeds, fan_outs, fan_out or [], caps, rng_seed)
    _show(found)
    if out is not None:
        saved = found.save(out)
        context.console.print(f"written to [bold]{out}[/]; snapshot [bold]{saved.content_hash}[/]", soft_wrap=True)


def _found(
    graph: str,
    snapshot: str | None,
    label: str,
    seeds: list[str],
    fan_outs: str,
    relations: list[str],
    caps: Caps,
    rng_seed: int,
) -> Neighbourhood:
    from kg.schema import load_domain
    from kg.snapshots.graph_neighbours import GraphNeighbours
    from kg.snapshots.neighbourhood import neighbourhood as work
    from kg.snapshots.sampling import Plan
    from kg.snapshots.snapshot import find_snapshot
    from kg.store import Store

    plan = Plan(_numbers(fan_outs), dict(_relation(text) for text in relations))
    options = {"caps": caps, "rng_seed": rng_seed, "reporter": context.reporter()}
    if snapshot is not None:
        return work(find_snapshot(Store(context.settings().store_dir), snapshot), label, seeds, plan, **options)
    domain = load_domain(graph)
    plan.check(domain)
    domain.node_type(label)
    with context.graph() as opened, GraphNeighbours(opened, domain) as source:
        return work(source, label, seeds, plan, **options)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise SettingsError(f"fan-outs {text!r}: give one whole number a hop, as in 10,10; -1 takes all") from None


def _relation(text: str) -> tuple[str, tuple[int, ...]]:
    name, equals, numbers = text.partition("=")
    if not (name and equals):
        raise SettingsError(f"--fan-out {text!r}: write RELATION=N,N, as in About=5,5 or rev_Style=0,0")
    return name, _numbers(numbers)


def _show(found: Neighbourhood) -> None:
    table = Table("", "count")
    for label in found.domain.node_types:
        if count := found.count(label):
            table.add_row(label, f"{count:,}")
    table.add_section()
    for edge_type in found.domain.edge_types:
        if count := len(found.edges(edge_type)[0]):
            table.add_row("-".join(edge_type), f"{count:,}")
    context.console.print(table)
    for cap, what in found.cut.items():
        context.console.print(f"[yellow]cap on {cap} reached[/]: {what}; raise it to see more")
