"""How do whole graphs come from the generator and exchange files, and leave again, on the command line?"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from cli import panels
from cli.context import console, graph, reporter, settings
from cli.importing import AllOrNothing, Connections, DryRun, Offline, OverEdits, _show
from kg.errors import SettingsError

__all__ = ["register", "register_imports"]


def register(app: typer.Typer) -> None:
    """Add `korvai generate …` and `korvai export`."""
    group = typer.Typer(no_args_is_help=True, help="Make graphs of any size, for trying out and for measuring.")
    app.add_typer(group, name="generate", rich_help_panel=panels.DATA)
    group.command("artgraph")(generate_artgraph_command)
    app.command("export", rich_help_panel=panels.DATA)(export_command)


def register_imports(group: typer.Typer) -> None:
    """Add `korvai import artgan` and `korvai import exchange`."""
    group.command("artgan")(import_artgan_command)
    group.command("exchange")(import_exchange_command)


def generate_artgraph_command(
    scale: Annotated[float, typer.Option(help="Times the published size: 0.01 to 10.", min=0.01, max=10)] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same graph.", min=0)] = 0,
    out: Annotated[Path | None, typer.Option(help="Write exchange files into this new folder.")] = None,
    load: Annotated[bool, typer.Option("--load", help="Bring it into the graph; again changes nothing.")] = False,
    offline: Offline = False,
    connections: Connections = 3,
    dry_run: DryRun = False,
) -> None:
    """An invented ArtGraph with the counts of the published one, times the scale.

    At scale 1: 135,038 nodes (116,475 artworks) and 875,416 relations, with
    hubs and long tails. Names are made up; styles and genres are ArtGraph's.
    Without --out and --load it shows what it would make.

      korvai generate artgraph --scale 0.1 --load
      korvai generate artgraph --scale 1.0 --load --offline
      korvai generate artgraph --scale 1.0 --seed 0 --out /tmp/artgraph
    """
    from kg.generation.artgraph import generate_artgraph

    began = time.monotonic()
    columns = generate_artgraph(scale=scale, seed=seed, reporter=reporter())
    _show_counts(columns.counts())
    console.print(
        f"{columns.node_count:,} nodes and {columns.edge_count:,} relations in {time.monotonic() - began:.1f} s; "
        f"fingerprint {columns.fingerprint()[:12]}"
    )
    if out is not None and not dry_run:
        from kg.exchange.writing import write_exchange

        write_exchange(columns, out, reporter=reporter())
        console.print(f"written: {out}; `korvai import exchange {out}` brings it into a graph", soft_wrap=True)
    if load:
        from kg.exchange.importing import How, import_columns

        how = How(offline, connections, dry_run=dry_run)
        about = {"kind": "generated", "source": f"artgraph, scale {scale:g}, seed {seed}"}
        _show(import_columns(settings(), columns, reporter=reporter(), how=how, **about))


def export_command(
    domain: Annotated[str, typer.Argument(metavar="GRAPH", help="The domain: artgraph, saree, or a domain file.")],
    out: Annotated[Path, typer.Option(help="A new or empty folder.")],
    with_overlay: Annotated[
        bool, typer.Option("--with-overlay", help="Also what Korvai added: hierarchy, images, captions, scenes, edits.")
    ] = False,
) -> None:
    """A graph as a folder of exchange files, in the layout of ArtGraph's published raw export.

    Keys and relations as csv, properties beside them as Arrow files.
    Vectors, models and what else Korvai added stay behind;
    --with-overlay takes all but vectors and models along, as JSON lines.

      korvai export artgraph --out /tmp/artgraph
      korvai import exchange /tmp/artgraph
    """
    from kg.exchange.export import export_graph
    from kg.schema import load_domain

    if out.name in {"", ".."}:
        raise SettingsError(f"export: {out} is no folder to make; give a new one by --out")
    with graph() as opened:
        columns = export_graph(opened, load_domain(domain), out, reporter=reporter(), with_overlay=with_overlay)
    _show_counts(columns.counts())
    console.print(f"{columns.node_count:,} nodes and {columns.edge_count:,} relations written: {out}", soft_wrap=True)


def import_artgan_command(
    folder: Annotated[Path, typer.Argument(help="Folder with style_train.csv, style_val.csv …, plain or .gz.")],
    merge: Annotated[
        bool, typer.Option("--merge", help="One artwork of two rows with the same file name in two style folders.")
    ] = False,
    offline: Offline = False,
    connections: Connections = 3,
    all_or_nothing: AllOrNothing = False,
    over_edits: OverEdits = False,
    dry_run: DryRun = False,
) -> None:
    """The ArtGAN lists of WikiArt: 81,446 real paintings with artist, year, style and genre, without images.

    Rows are Style_Folder/artist_title-year.jpg,class. Styles that are not
    among ArtGraph's 32 (Pointillism, Action painting …) are reported row by
    row, and the painting is kept without a style.

      korvai import artgan ~/artgan
    """
    from kg.exchange.importing import How, import_artgan

    how = How(offline, connections, all_or_nothing, dry_run, over_edits)
    _show(import_artgan(settings(), folder, reporter=reporter(), merge=merge, how=how))


def import_exchange_command(
    folder: Annotated[Path, typer.Argument(help="Folder with mapping/ and raw/.")],
    domain: Annotated[
        str | None, typer.Option("--graph", help="The domain; by default the one that the files name, else artgraph.")
    ] = None,
    offline: Offline = False,
    connections: Connections = 3,
    all_or_nothing: AllOrNothing = False,
    over_edits: OverEdits = False,
    dry_run: DryRun = False,
) -> None:
    """A folder of exchange files: the authors' raw export of ArtGraph, or what `korvai export` wrote.

      korvai import exchange ~/artgraph-raw --dry-run
    """  # fmt: skip
    from kg.exchange.importing import How, import_exchange
    from kg.schema import load_domain

    known = load_domain(domain) if domain else None
    how = How(offline, connections, all_or_nothing, dry_run, over_edits)
    _show(import_exchange(settings(), folder, reporter=reporter(), domain=known, how=how))


def _show_counts(counts: dict[str, int]) -> None:
    table = Table("", "count", box=None)
    table.columns[1].justify = "right"
    for what, count in counts.items():
        table.add_row(what, f"{count:,}")
    console.print(table)
