"""How does a person find what looks alike, among what they are interested in?"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli import context
from kg.errors import StatementError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add `korvai similar` and `korvai search`."""
    app.command("similar")(similar)
    app.command("search")(search)


def similar(
    item: Annotated[str, typer.Argument(help="Key of an item of the graph.")],
    graph: Annotated[str, typer.Option("--graph", help="Name of the domain, or a YAML file of one's own.")] = "saree",
    task: Annotated[str | None, typer.Option("--task", help="Task whose active model is asked.")] = None,
    style: Annotated[str | None, typer.Option("--style", help="Only items of this style.")] = None,
    century: Annotated[
        int | None, typer.Option("--century", help="Only items of this century: 17 is 1601-1700.")
    ] = None,
    museum: Annotated[str | None, typer.Option("--museum", help="Only items in this museum or gallery.")] = None,
    related: Annotated[
        list[str] | None,
        typer.Option("--related", metavar="LABEL=KEY", help="Only items that hang on this node; may be repeated."),
    ] = None,
    k: Annotated[int, typer.Option("-k", "--top", min=1, max=1000, help="How many items.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a row instead of a table.")] = False,
) -> None:
    """Show the items whose images look most like an item's, all or only those that meet conditions.

    However narrow the conditions, as many come as there are, up to --top: korvai similar NAME --graph artgraph --task
    style --style Baroque --century 17, or korvai similar NAME --related Colour=red.
    """
    from kg.search import century_years, find_similar

    nodes = {"Style": style, "Gallery": museum} | dict(_pair(text) for text in related or [])
    wanted = {label: key for label, key in nodes.items() if key is not None}
    years = None if century is None else century_years(century)
    with context.graph() as opened:
        rows = find_similar(opened, graph, task, item, k=k, related=wanted, years=years)
    if as_json:
        for row in rows:
            context.console.print_json(data=vars(row), indent=None)
        return
    table = Table("item", "cosine", "", box=None, header_style="bold")
    for row in rows:
        table.add_row(escape(row.item), f"{row.score:.4f}", "█" * round(30 * max(row.score, 0)))
    context.console.print(table)
    context.console.print(f"[dim]{len(rows)} items[/]")


def search(
    text: Annotated[str, typer.Argument(help="What is shown: peacock on pallu, red body, green border.")],
    graph: Annotated[str, typer.Option("--graph", help="Name of the domain, or a YAML file of one's own.")] = "saree",
    k: Annotated[int, typer.Option("-k", "--top", min=1, max=1000, help="How many items.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a row instead of a table.")] = False,
) -> None:
    """Find pictures by what they show, as the scene graphs in the database say it.

    Facts are separated by commas. Words that no scene uses are named, and the rest is searched for.

      korvai search "peacock on pallu, red body, green border"
    """
    from kg.scenes.composing import find_scenes

    with context.graph() as opened:
        answer = find_scenes(opened, graph, text, k=k)
    for word in answer.unknown:
        context.error_console.print(f"[yellow]! no scene speaks of {escape(repr(word))}[/]")
    if as_json:
        for row in answer.found:
            context.console.print_json(data=row._asdict(), indent=None)
        return
    context.console.print(f"[dim]facts: {escape('; '.join(answer.facts))}[/]", soft_wrap=True)
    table = Table("item", "facts", "met", "missing", box=None, header_style="bold")
    for row in answer.found:
        told = f"{len(row.met)} of {len(answer.facts)}"
        table.add_row(escape(row.item), told, escape("; ".join(row.met)), escape("; ".join(row.missing)))
    context.console.print(table)


def _pair(text: str) -> tuple[str, str]:
    label, equals, key = text.partition("=")
    if not equals or not label or not key:
        raise StatementError(f"--related {text!r}: write it as LABEL=KEY, such as Style=Baroque")
    return label, key
