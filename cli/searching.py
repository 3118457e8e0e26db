"""How does a person find what looks alike, among what they are interested in?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli import context, panels
from kg.errors import StatementError
from kg.store import Store

if TYPE_CHECKING:
    from kg.classify import Similar
    from kg.scenes.asking import Answer
    from kg.scenes.composing import Composition

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add `korvai similar`, `korvai search` and `korvai publish-text`."""
    app.command("similar", rich_help_panel=panels.ASK)(similar)
    app.command("search", rich_help_panel=panels.ASK)(search)
    app.command("publish-text", rich_help_panel=panels.LEARN)(publish_text)


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
    _print_nearest(rows)
    context.console.print(f"[dim]{len(rows)} items[/]")


def search(
    text: Annotated[str, typer.Argument(help="What is shown: peacock on pallu, red body, green border.")],
    graph: Annotated[str, typer.Option("--graph", help="Name of the domain, or a YAML file of one's own.")] = "saree",
    by: Annotated[str, typer.Option("--by", help="scenes, embeddings, or both with the difference.")] = "scenes",
    k: Annotated[int, typer.Option("-k", "--top", min=1, max=200, help="How many items.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a row instead of a table.")] = False,
) -> None:
    """Find pictures by what they show, as the scene graphs in the database say it, or as a model sees it.

    By scenes, facts are separated by commas; words that are left out are named, and the rest is searched for.
    By embeddings, the text as a whole is compared with the pictures, by the model that is active for task `text`
    (`korvai publish-text`, or a recipe that has a text side).

      korvai search "peacock on pallu, red body, green border" --by both
    """
    from kg.scenes.asking import ask

    with context.graph() as opened:
        answer = ask(opened, context.settings(), graph, text, by=by, k=k)
    for word in answer.scenes.unknown if answer.scenes else ():
        context.error_console.print(
            f"[yellow]! left out: {escape(repr(word))}: no scene speaks of it, or it relates no two things[/]"
        )
    for note in answer.notes:
        context.error_console.print(f"[yellow]! {escape(note)}[/]")
    if as_json:
        _print_rows(answer, tagged=by == "both")
        return
    if answer.scenes:
        _print_scenes(answer.scenes)
    if answer.nearest is not None:
        _print_nearest(answer.nearest)
    if by == "both" and not answer.notes:
        both, scenes, vectors = answer.found_by_both, answer.only_by_scenes, answer.only_by_embeddings
        for what, items in (("by both", both), ("by scenes only", scenes), ("by embeddings only", vectors)):
            context.console.print(f"[bold]{what}[/] ({len(items)}): {escape(', '.join(items) or '-')}", soft_wrap=True)


def publish_text(
    graph: Annotated[str, typer.Option("--graph", help="Name of the domain, or a YAML file of one's own.")] = "saree",
    encoder: Annotated[
        str, typer.Option("--encoder", help="korvai-small, open_clip:NAME:TAG_OR_FILE, or a folder.")
    ] = "korvai-small",
) -> None:
    """Let `korvai search --by embeddings` answer with an image-text model as it is, without training.

    A second run adds the vectors of pictures that came since.
    """
    from kg.publishing.text_tower import publish_text_tower
    from kg.schema import load_domain

    with context.graph() as opened:
        store = Store(context.settings().store_dir)
        set_id = publish_text_tower(opened, store, encoder, domain=load_domain(graph), reporter=context.reporter())
    context.console.print(f"active for texts: {set_id}")


def _print_rows(answer: Answer, *, tagged: bool) -> None:
    shown = [("scenes", row._asdict()) for row in (answer.scenes.found if answer.scenes else ())]
    for way, row in [*shown, *(("embeddings", vars(row)) for row in answer.nearest or ())]:
        context.console.print_json(data={"by": way, **row} if tagged else row, indent=None)


def _print_scenes(scenes: Composition) -> None:
    context.console.print(f"[dim]facts: {escape('; '.join(scenes.facts))}[/]", soft_wrap=True)
    table = Table("item", "facts", "met", "missing", box=None, header_style="bold")
    for row in scenes.found:
        told = f"{len(row.met)} of {len(scenes.facts)}"
        table.add_row(escape(row.item), told, escape("; ".join(row.met)), escape("; ".join(row.missing)))
    context.console.print(table)


def _print_nearest(rows: Sequence[Similar]) -> None:
    table = Table("item", "cosine", "", box=None, header_style="bold")
    for row in rows:
        table.add_row(escape(row.item), f"{row.score:.4f}", "█" * round(30 * max(row.score, 0)))
    context.console.print(table)


def _pair(text: str) -> tuple[str, str]:
    label, equals, key = text.partition("=")
    if not equals or not label or not key:
        raise StatementError(f"--related {text!r}: write it as LABEL=KEY, such as Style=Baroque")
    return label, key
