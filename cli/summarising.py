"""How does a person have long texts about nodes made short from the command line?"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from cli import context, panels
from kg.errors import SettingsError

__all__ = ["register"]

_SHOWN = 12


def register(app: typer.Typer) -> None:
    """Add `korvai summarise`."""
    app.command("summarise", rich_help_panel=panels.CURATE)(summarise)


def summarise(
    graph: Annotated[str, typer.Option("--graph", help="Name of the domain, or a YAML file of one's own.")] = "saree",
    type_: Annotated[
        list[str] | None, typer.Option("--type", help="Nodes of this type; may be repeated. Default: the classes.")
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(help="An OpenAI-compatible address, http://…/v1; its key is read from KORVAI_SUMMARISER_KEY."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="The endpoint's model.")] = None,
    words: Annotated[int, typer.Option(min=5, max=500, help="At most so many words.")] = 50,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the texts and write nothing.")] = False,
) -> None:
    """Short texts of what can be seen, from a node's own text and its neighbourhood, marked as a machine's.

    Without an endpoint they are sentences of the text itself. What people wrote is never replaced.

    korvai summarise --graph saree --dry-run
    korvai summarise --graph artgraph --type Style --endpoint http://127.0.0.1:8080/v1 --model NAME
    """
    from kg.encoders.text import load_text_encoder
    from kg.schema import load_domain
    from kg.store import Store
    from kg.summaries.summariser import Endpoint, Extractive
    from kg.summaries.summarising import MACHINE, summarise_graph

    if (endpoint is None) != (model is None):
        raise SettingsError("summarise: --endpoint and --model go together; leave both out for sentences of the text")
    settings = context.settings()
    by = Extractive(load_text_encoder(settings.text_encoder).encode) if endpoint is None else Endpoint(endpoint, model)
    form = {"labels": type_ or (), "words": words, "dry_run": dry_run, "reporter": context.reporter()}
    with context.graph() as opened:
        report, found = summarise_graph(opened, Store(settings.store_dir), load_domain(graph), by, **form)
    table = Table(Column("node", overflow="fold"), "property", Column("text", overflow="fold"), box=None)
    for summary in found[:_SHOWN]:
        table.add_row(escape(f"{summary.label} {summary.key}"), summary.property, escape(summary.text))
    context.console.print(table)
    more = f", {len(found) - _SHOWN:,} more" if len(found) > _SHOWN else ""
    done = "would be written" if dry_run else f"written by batch {report.batch}"
    context.console.print(f"{len(found):,} texts{more}, source {MACHINE}{by.name}: {done}", soft_wrap=True)
