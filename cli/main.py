"""Which verbs does `korvai` have, and how does it end when something goes wrong?"""

from __future__ import annotations

import logging
import sys
import tempfile
import traceback
import warnings

import typer
from rich.markup import escape

from cli import (
    asking,
    backup,
    changes,
    context,
    curating,
    demo,
    explaining,
    generating,
    importing,
    jobs,
    learning,
    measuring,
    negatives,
    pulling,
    searching,
    services,
    structure,
    summarising,
    validating,
)
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
for part in (
    demo,
    services,
    jobs,
    importing,
    generating,
    backup,
    pulling,
    learning,
    negatives,
    asking,
    searching,
    explaining,
    curating,
    changes,
    validating,
    summarising,
    measuring,
    structure,
):
    part.register(app)


_INTERRUPTED = 130


def main() -> None:
    """Run the command line; every failure is one line on standard error and exit code 1, 130 after Ctrl-C."""
    _silence_libraries()
    try:
        app()
    except KorvaiError as error:
        _fail(str(error))
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:  # typer has caught the KeyboardInterrupt
            context.error_console.print("stopped by Ctrl-C; the same command goes on where it was")
        raise
    except OSError as error:
        what = ": ".join(str(part) for part in (error.filename, error.strerror or error) if part)
        _fail(f"{what}; check the path, its permissions and the space on its disk")
    except Exception as error:
        _fail(f"{type(error).__name__}: {error} (a fault of Korvai's own, please report it; {_kept_traceback()})")


def _silence_libraries() -> None:
    """What libraries tell programmers and log without being asked; a person gets our own words."""
    logging.getLogger().addHandler(logging.NullHandler())
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def _fail(message: str) -> None:
    context.error_console.print(f"[red]error:[/] {escape(' '.join(message.split()))}", soft_wrap=True)
    sys.exit(1)


def _kept_traceback() -> str:
    """Where the traceback of a fault is: in a file, since a person has no use for it."""
    try:
        with tempfile.NamedTemporaryFile("w", prefix="korvai-fault-", suffix=".txt", delete=False) as file:
            file.write(traceback.format_exc())
    except OSError:
        return traceback.format_exc()
    return f"the details are in {file.name}"
