"""Which verbs does `korvai` have, and how does it end when something goes wrong?"""

from __future__ import annotations

import sys

import typer

from cli import asking, context, demo, importing, learning, measuring, services
from kg.errors import KorvaiError

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Korvai interlocks images with a knowledge graph in Neo4j: import, learn, publish, and classify by Cypher.\n\n"
    "Begin with [bold]korvai demo[/], or step by step: [bold]korvai up[/], [bold]korvai import saree[/], "
    "[bold]korvai retrain --here[/], [bold]korvai classify IMAGE[/].",
)
for part in (demo, services, importing, learning, measuring, asking):
    part.register(app)


def main() -> None:
    """Run the command line; every expected failure is one line on standard error and exit code 1."""
    try:
        app()
    except KorvaiError as error:
        context.error_console.print(f"[red]error:[/] {_plain(error)}", soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        context.error_console.print("\nstopped; the same command goes on where it was")
        sys.exit(130)


def _plain(error: KorvaiError) -> str:
    from rich.markup import escape

    return escape(" ".join(str(error).split()))
