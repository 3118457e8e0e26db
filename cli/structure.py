"""How does a person see whether a model tells sentences of the same words apart?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli import context, panels
from kg.errors import SettingsError
from kg.store import Store

if TYPE_CHECKING:
    from training.suite_models import Vectors
    from training.suites import Part, Suite

__all__ = ["register"]

_RENDERED = "rendered"


def register(app: typer.Typer) -> None:
    """Add `korvai evaluate-structure`."""
    app.command("evaluate-structure", rich_help_panel=panels.MEASURE)(evaluate_structure)


def evaluate_structure(
    suite: Annotated[str, typer.Argument(help="rendered, sugarcrepe, aro, aro-order, crepe, winoground or retrieval.")],
    path: Annotated[
        Path | None, typer.Argument(help="Its file, or a folder of its files; `rendered` is drawn here.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="korvai-small, open_clip:NAME:TAG_OR_FILE, or a folder.")] = None,
    run: Annotated[str | None, typer.Option(help="Name of a finished run that has a text side.")] = None,
    embeddings: Annotated[
        Path | None,
        typer.Option(help="npz (or folder of npy) of images, texts (strings), image_vectors, text_vectors."),
    ] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the suite's pictures, for --model and --run.")] = None,
    items_per_part: Annotated[int, typer.Option(min=4, help="rendered: questions a part.")] = 350,
    seed: Annotated[int, typer.Option(min=0, max=99, help="rendered: which pictures and sentences.")] = 0,
    kinds: Annotated[bool, typer.Option("--kinds", help="Also what is within each category.")] = False,
) -> None:
    """Share of questions in which the true sentence comes nearest to its image, by category, with 95 % intervals.

    `rendered` is our own suite: exact, and no scorer that sees only sentences is right in more than half of it. Of the
    public suites only the layouts of their files are tested, with files of our own; their boxes are cut out of the
    pictures, and are part of a picture's name in --embeddings: `name#xywh=x,y,w,h`, else its plain name.

      korvai evaluate-structure rendered --model korvai-small --kinds
      korvai evaluate-structure sugarcrepe DIR --embeddings vectors.npz
      korvai evaluate-structure aro DIR --model open_clip:ViT-B-32:openai --images DIR/images
    """
    from training.retrieval import recall_of
    from training.suites import judge

    if [model, run, embeddings].count(None) != 2:
        raise SettingsError("evaluate-structure: say what to evaluate, by one of --model, --run, --embeddings")
    read = _read(suite, path, images, items_per_part=items_per_part, seed=seed)
    vectors = _vectors(read, model, run, embeddings)
    if suite == "retrieval":
        for name, share in recall_of(read, vectors).items():
            context.console.print(f"{name:<20} {share:.3f}")
    else:
        _print_parts(judge(read, vectors.similarity, images=vectors.images, kinds=kinds))
    for reason, count in read.left_out.most_common():
        context.console.print(f"[dim]{count:>6,} left out: {escape(reason)}[/]")


def _print_parts(parts: list[Part]) -> None:
    table = Table("category", "accuracy", "95 %", "n", box=None, header_style="bold")
    for part in parts:
        table.add_row(escape(part.category), f"{part.accuracy:.3f}", f"{part.low:.3f}..{part.high:.3f}", str(part.n))
    context.console.print(table)


def _read(suite: str, path: Path | None, images: Path | None, *, items_per_part: int, seed: int) -> Suite:
    from training.rendered_suite import rendered_suite
    from training.suite_files import read_suite

    if suite == _RENDERED:
        store = Store(context.settings().store_dir)
        return rendered_suite(store, items_per_part=items_per_part, rng_seed=seed, reporter=context.reporter())
    if path is None:
        raise SettingsError(f"evaluate-structure {suite}: name its file, or the folder of its files")
    return read_suite(suite, path, images=images)


def _vectors(read: Suite, model: str | None, run: str | None, embeddings: Path | None) -> Vectors:
    from training.suite_models import encode_suite, model_of_run, model_of_spec, similarities

    if embeddings is not None:
        return similarities(embeddings, read)
    reporter = context.reporter()
    asked = model_of_spec(model) if model else model_of_run(context.settings(), str(run), reporter)
    return encode_suite(read, asked, reporter)
