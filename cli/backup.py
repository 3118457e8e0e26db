"""How is a database saved, brought back and checked from the command line?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import panels
from cli.context import console, reporter, settings

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add `korvai dump`, `load` and `check`."""
    app.command("dump", rich_help_panel=panels.DATA)(dump_command)
    app.command("load", rich_help_panel=panels.DATA)(load_command)
    app.command("check", rich_help_panel=panels.DATA)(check_command)


def dump_command(
    file: Annotated[Path, typer.Argument(help="A new file; an existing one is never overwritten.")],
) -> None:
    """Save the whole embedded database to one file: graph, vectors, edits, everything but the store's files.

    The server is stopped for it and started again. The images, models and
    journals of undo lie in the store: copy KORVAI_HOME/store beside the dump.

      korvai dump monday.dump
    """
    from kg.loading.backup import dump_database

    size = dump_database(settings(), file, reporter=reporter())
    console.print(f"{file}: {size / 2**20:,.1f} MiB; `korvai load {file}` brings it into an empty database")


def load_command(
    file: Annotated[Path, typer.Argument(help="What `korvai dump` or neo4j-admin (4.4 or 5) wrote.")],
) -> None:
    """Bring a dump into an empty embedded database; set KORVAI_HOME to a new folder for a second one.

    A store of 4.4 is migrated, an older one is refused by its version.
    What the dump holds comes as it is: Korvai adds nothing to it. A kill in
    the middle leaves the empty database or the loaded one.

      KORVAI_HOME=~/second korvai load artgraph.dump
    """
    from kg.loading.backup import load_database

    there = load_database(settings(), file, reporter=reporter())
    named = ", ".join(f"{count:,} {label}" for label, count in list(there.items())[:8])
    console.print(f"{file} is loaded: {named or 'no nodes'}{' …' if len(there) > 8 else ''}", soft_wrap=True)


def check_command() -> None:
    """Check the embedded database's files with Neo4j's own consistency checker; the server is stopped for it."""
    from kg.loading.backup import check_database

    check_database(settings(), reporter=reporter())
    console.print("the database is sound")
