"""How does a person see what changed in a graph, and have raw Cypher edits recorded?"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table

from cli import context, panels
from kg.errors import StoreError

if TYPE_CHECKING:
    from kg.changes.edit_record import Edit
    from kg.changes.since import Since
    from kg.graph import Graph
    from kg.schema import Domain
    from kg.snapshots.snapshot import Snapshot
    from kg.store import Store

__all__ = ["register"]

_WIDEST = 60


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    for verb in (changes, capture):
        app.command(rich_help_panel=panels.CURATE)(verb)


def changes(
    graph: Annotated[str, typer.Option("--graph", help="Name of the domain, or a YAML file of one's own.")] = "saree",
    since: Annotated[
        str | None, typer.Option(help="Hash of a snapshot; without one, the published graph's, else the latest pulled.")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="Whose classes may be stale; needed where there are several.")
    ] = None,
    hops: Annotated[int, typer.Option(min=1, max=3, help="Message-passing layers of the model.")] = 2,
    compare: Annotated[bool, typer.Option("--compare", help="Read and compare the whole graph in any case.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Edits to list, latest first.")] = 20,
) -> None:
    """What was added, changed or deleted since a snapshot, by whom, and which classes are stale because of it.

    With `korvai capture on` this takes as long as there are edits; without, the graph is pulled and compared, and who
    and the old value are known only of edits made through Korvai. `korvai refresh` brings stale classes up to date.
    """
    from kg.changes.since import changes_since
    from kg.schema import load_domain
    from kg.store import Store

    domain, store = load_domain(graph), Store(context.settings().store_dir)
    with context.graph() as opened:
        old = _snapshot(opened, store, domain, since, task)
        found = changes_since(opened, store, old, reporter=context.reporter(), by_edits=False if compare else None)
    _print_edits(_shown(found, old), limit)
    _print_changes(found, old)
    if found.changes:
        _print_stale(found, domain, task, hops)


def capture(
    what: Annotated[Literal["on", "off", "status"], typer.Argument(help="What to do.")] = "status",
    graph: Annotated[
        list[str] | None, typer.Option("--graph", help="Domain or YAML file to watch; all that ship without it.")
    ] = None,
    bulk: Annotated[
        int | None, typer.Option(min=1, help="Changes in one transaction above which they are only counted.")
    ] = None,
) -> None:
    """Record every edit that somebody types as raw Cypher: who, when, old and new value. [dim]on | off | status[/]

    An APOC trigger does it inside the edit's own transaction; edits through Korvai are recorded without it.
    """
    from kg.changes.capture import BULK, install, remove, status
    from kg.schema import load_domain

    with context.graph() as opened:
        if what == "on":
            install(opened, *map(load_domain, graph or []), bulk=bulk or BULK)
        elif what == "off":
            remove(opened)
        now = status(opened)
    if now.on:
        since = now.since.astimezone().isoformat(sep=" ", timespec="seconds") if now.since else "?"
        context.console.print(f"raw Cypher is recorded since {since}, of {len(now.labels)} node types")
    else:
        context.console.print("raw Cypher is not recorded; `korvai capture on` begins")
    context.console.print(f"{now.edits:,} edits recorded" + (f", the last at {_when(now.last)}" if now.last else ""))


def _snapshot(graph: Graph, store: Store, domain: Domain, wanted: str | None, task: str | None) -> Snapshot:
    """The one asked for, the published graph's, or the latest of the domain. Raises: StoreError."""
    from kg.publishing.activation import find_active_set
    from kg.snapshots.snapshot import Snapshot, find_snapshot

    if wanted is None:
        for name in [task] if task else domain.tasks:
            if (active := find_active_set(graph, domain, name)) and _has(store, active.snapshot):
                wanted = active.snapshot
                break
    if wanted is not None:
        return find_snapshot(store, wanted)
    pulled = [Snapshot.open(path.parent) for path in store.snapshots.glob("*/manifest.json")]
    mine = [snapshot for snapshot in pulled if snapshot.domain.domain == domain.domain]
    if not mine:
        raise StoreError(
            f"changes: the store has no snapshot of {domain.domain} to compare with; `korvai pull --graph "
            f"{domain.domain}` makes one"
        )
    return max(mine, key=lambda snapshot: snapshot.manifest["pulled_at"])


def _has(store: Store, content_hash: str) -> bool:
    return any(Path(path).is_dir() for path in store.snapshots.glob(f"{content_hash[:12]}*"))


def _shown(found: Since, old: Snapshot) -> list[Edit]:
    """Edits since the snapshot; those shortly before it, which are read with them, where only they explain it."""
    pulled_at = datetime.fromisoformat(old.manifest["pulled_at"])
    later = [edit for edit in found.edits if edit.at and edit.at >= pulled_at]
    return later or (found.edits if found.changes else [])


def _print_edits(edits: list[Edit], limit: int) -> None:
    if not edits:
        return
    table = Table("kind", "what", "old", "new", "who", "when", "through", "edit", title="recorded edits")
    for edit in edits[:limit]:
        cells = (edit.kind, _what(edit), edit.old, edit.new, edit.who, _when(edit.at), edit.through, edit.id)
        table.add_row(*(escape(_short(cell)) for cell in cells))
    context.console.print(table)
    if len(edits) > limit:
        context.console.print(f"[dim]and {len(edits) - limit:,} more; --limit shows them[/]")


def _print_changes(found: Since, old: Snapshot) -> None:
    how = "by recorded edits" if found.compared is None else f"by comparing columns: {found.compared}"
    context.console.print(f"since {old.manifest['pulled_at']}, snapshot {old.content_hash[:12]} ({escape(how)}):")
    if not found.changes:
        return context.console.print("nothing that a model sees has changed")
    table = Table("nodes or relations", "added", "changed", "deleted")
    for what, *counts in found.changes.rows():
        table.add_row(escape(what), *(f"{count:,}" if count else "" for count in counts))
    for name in found.changes.tables:
        table.add_row(f"table of {name}", "", "yes", "")
    context.console.print(table)
    return None


def _print_stale(found: Since, domain: Domain, task: str | None, hops: int) -> None:
    from kg.changes.adjacency import Adjacency
    from kg.changes.stale import stale_sets

    adjacency = Adjacency(found.snapshot)
    for name in [domain.task(task)[0]] if task else domain.tasks:
        target = domain.task_edge_type(name)[2]
        stale = stale_sets(adjacency, found.changes, target, hops)
        keys = found.snapshot.keys(target)[stale.classes].tolist()
        listed = ", ".join(keys[:8]) + (" …" if len(keys) > 8 else "")
        context.console.print(
            f"task {name}, {hops} layers: [bold]{len(keys)}[/] of {stale.counts[target]} classes stale "
            f"({stale.share_of_classes:.0%}){': ' if keys else ''}{escape(listed)}"
        )


def _what(edit: Edit) -> str:
    node = f"({edit.target_type} {edit.target_key or ''})".replace(" )", ")")
    if edit.on_relation:
        node += f"-[{edit.relation}]->({edit.other_type or ''} {edit.other_key or ''})"
    return f"{node} {edit.key or ''}" + (f" × {edit.count:,}" if edit.count else "")


def _when(at: object) -> str:
    return at.astimezone().isoformat(sep=" ", timespec="seconds")[:19] if at else ""


def _short(text: str | None) -> str:
    return "" if text is None else text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
