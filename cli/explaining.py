"""How does a person ask why an image has its class?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli import context, panels
from cli.asking import Domain_, Task_

if TYPE_CHECKING:
    from training.explain.answering import Answer

__all__ = ["register"]

_SHOWN = 8


def register(app: typer.Typer) -> None:
    """Add `korvai explain`."""
    app.command("explain", rich_help_panel=panels.ASK)(explain)


def explain(
    image: Annotated[
        str, typer.Argument(metavar="IMAGE_OR_FILE", help="An image file, an image's sha256, or the key of its item.")
    ],
    class_key: Annotated[
        str | None, typer.Option("--class", help="Why this class, or why not; else the likeliest one.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the map as PNG, and for the page.")] = None,
    html: Annotated[bool, typer.Option("--html", help="Write a page for people, into --out or here.")] = False,
    graph: Domain_ = "saree",
    task: Task_ = None,
) -> None:
    """Say why the active model gives an image its class: where it looked, and what in the graph speaks for it.

    An image of the graph gets an Explanation node with its evidence, which Neo4j Browser draws; a file that is not in
    the graph changes nothing there. Asking again changes nothing.

    [bold]korvai explain saree.jpg --html[/] · [bold]korvai explain rendered-banaras-0001 --class Kota[/]
    """
    from training.explain.answering import explain as answer
    from training.threads import torch_threads

    with context.graph() as opened, torch_threads(1):
        found = answer(
            opened,
            context.settings(),
            image,
            domain=graph,
            task=task,
            class_key=class_key,
            out=out,
            html=html,
            reporter=context.reporter(),
        )
    _show(found)


def _show(answer: Answer) -> None:
    reasons, print_ = answer.reasons, context.console.print
    print_(f"\n{escape(reasons.sentence)}\n", soft_wrap=True)
    table = Table("evidence", "relation and node", "weight", "needed", box=None, header_style="bold")
    speaking = [f for f in reasons.findings if f.weight > 0][:_SHOWN]
    opposing = [f for f in reasons.findings if f.weight < 0][-3:]
    for finding in (*speaking, *opposing):
        mask = "" if finding.mask is None else f"{finding.mask:.2f}"
        table.add_row(escape(finding.says), escape(finding.source), f"{finding.weight:+.4f}", mask)
    print_(table)
    print_("[dim]weight: share of the score beyond the mean image's; needed: 1 where the class cannot do without[/]")
    for what, path in answer.files.items():
        print_(f"{what}: {escape(str(path))}", soft_wrap=True)
    if answer.kept:
        print_(f"in Browser: korvai cypher explanations/show --show --inline -p id={answer.explanation.id}")
    else:
        print_("[dim]The image is not in the graph, so nothing was kept there.[/]")
