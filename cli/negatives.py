"""How does a person get sentences that are almost true of the graph's images?"""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli import context, panels

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add `korvai negatives`."""
    app.command("negatives", rich_help_panel=panels.LEARN)(negatives)


def negatives(
    graph: Annotated[str, typer.Option("--graph", help="Name of the domain, or a YAML file of one's own.")] = "saree",
    out: Annotated[Path | None, typer.Option(help="Write them as JSON lines into this file.")] = None,
    rng_seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same sentences.")] = 0,
    examples: Annotated[int, typer.Option(min=0, max=100, help="How many of each kind to show.")] = 2,
) -> None:
    """Semantic negatives of all captions: swapped and replaced things, attributes, relations, each false of its image.

    What could not be made is counted by its reason.
    """
    from kg.scenes.negatives import KINDS, make_negatives
    from kg.scenes.plausible import Plausible
    from kg.scenes.stored import stored_captions, stored_scenes
    from kg.schema import load_domain
    from kg.snapshots.snapshot import pull
    from kg.store import Store

    with context.graph() as opened:
        snapshot = pull(opened, load_domain(graph), Store(context.settings().store_dir), reporter=context.reporter())
    plausible, rng = Plausible.of_scenes(stored_scenes(snapshot).values()), random.Random(rng_seed)
    reasons: Counter[str] = Counter()
    made = [
        {"image": one.image, "caption": one.text, **negative._asdict()}
        for one in stored_captions(snapshot)
        for negative in make_negatives(
            one.text, one.scene, plausible, rng=rng, truth=one.truth, whole=one.whole, reasons=reasons
        )
    ]
    if out is not None:
        out.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made), encoding="utf-8")
    table = Table("kind", "made", "for example", box=None, header_style="bold")
    for kind in KINDS:
        rows = [row for row in made if row["kind"] == kind]
        shown = "\n".join(f"{row['caption']} → {row['text']}" for row in rows[:examples])
        table.add_row(kind, f"{len(rows):,}", escape(shown))
    context.console.print(table)
    for reason, count in reasons.most_common():
        context.console.print(f"[dim]{count:>8,} not made: {escape(reason)}[/]")
