"""How does a person see whether a model tells sentences of the same words apart?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli import context

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add `korvai evaluate-structure`."""
    app.command("evaluate-structure", rich_help_panel="Learn")(evaluate_structure)


def evaluate_structure(
    suite: Annotated[str, typer.Argument(help="sugarcrepe, aro or winoground.")],
    path: Annotated[Path, typer.Argument(help="Its file, or a folder with one file a category.")],
    embeddings: Annotated[
        Path, typer.Option(help="npz of vectors: images, texts (strings), image_vectors, text_vectors.")
    ],
) -> None:
    """Share of questions in which the true sentence comes nearest to its image, by category, with 95 % intervals.

    korvai evaluate-structure sugarcrepe DIR --embeddings vectors.npz
    """
    from training.suites import judge, read_suite, similarities

    read = read_suite(suite, path)
    similarity, images = similarities(embeddings)
    table = Table("category", "accuracy", "95 %", "n", box=None, header_style="bold")
    for part in judge(read, similarity, images=images):
        table.add_row(escape(part.category), f"{part.accuracy:.3f}", f"{part.low:.3f}..{part.high:.3f}", str(part.n))
    context.console.print(table)
    for reason, count in read.left_out.most_common():
        context.console.print(f"[dim]{count:>6,} left out: {escape(reason)}[/]")
