"""How do collections get into the graph from the command line?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli import panels
from cli.context import console, graph, reporter, settings
from kg.errors import SchemaViolation

if TYPE_CHECKING:
    from kg.importers.report import ImportReport, Problem

__all__ = ["register"]

_SHOWN_PROBLEMS = 20
_PIPE_WIDTH = 200  # a pipe has no width, and ids must come out whole

DryRun = Annotated[bool, typer.Option("--dry-run", help="Read and compare, report, and write nothing.")]
AllOrNothing = Annotated[
    bool, typer.Option("--all-or-nothing", help="One problem, and everything is taken back again.")
]
OverEdits = Annotated[
    bool,
    typer.Option(
        "--over-edits",
        help="The files win over curators: relations marked wrong come back, edited values are overwritten.",
    ),
]
Connections = Annotated[int, typer.Option(min=1, max=16, help="Connections that write; one at a time commits.")]
Offline = Annotated[
    bool,
    typer.Option(
        "--offline/--online",
        help="Offline: a first load into the empty embedded database, by Neo4j's own import; the server is stopped "
        "meanwhile.",
    ),
]
Domain = Annotated[str, typer.Option("--graph", help="The domain: artgraph, saree, or a domain file (.yaml).")]


def register(app: typer.Typer) -> None:
    """Add `korvai import …`."""
    from cli.generating import register_imports  # which needs this module's options

    group = typer.Typer(
        no_args_is_help=True,
        help="Bring collections into the graph. Importing again is safe: only what is missing or different is written. "
        "Bad rows are reported by file, line and reason, and the rest goes on.",
    )
    app.add_typer(group, name="import", rich_help_panel=panels.DATA)
    for name, command in (
        ("saree", import_saree_command),
        ("wikiart", import_wikiart_command),
        ("csv", import_csv_command),
        ("descriptions", import_descriptions_command),
        ("captions", import_captions_command),
        ("scenes", import_scenes_command),
        ("hierarchy", import_hierarchy_command),
        ("list", list_command),
        ("undo", undo_command),
    ):
        group.command(name)(command)
    register_imports(group)


def import_saree_command(
    per_cluster: Annotated[
        int, typer.Option(help="Rendered sarees a cluster; more than before adds, less keeps.")
    ] = 60,
    images: Annotated[
        Path | None, typer.Option(help="Photographs of your own: DIR/<cluster>/*.jpg, e.g. DIR/kanchipuram/a.jpg.")
    ] = None,
    clusters: Annotated[
        str | None, typer.Option(help="Only render these, comma separated: Kanchipuram,Banaras.")
    ] = None,
    facts_only: Annotated[
        bool, typer.Option("--facts-only", help="The craft's facts, without rendered sarees.")
    ] = False,
    size_px: Annotated[int, typer.Option("--size", help="Pixels on a side of a rendering.")] = 224,
    seeds: Annotated[
        str, typer.Option(help="Seed range of the renderings; `test` gives images marked as test.")
    ] = "train",
    over_edits: OverEdits = False,
    dry_run: DryRun = False,
) -> None:
    """The saree craft graph: 17 clusters with their techniques, motifs, borders, places, and sarees rendered from them.

    Renderings are drawn from the facts, with captions and scene graph.

      korvai import saree --per-cluster 20
      korvai import saree --facts-only --images ~/sarees
    """
    from kg.importers.saree import import_saree
    from kg.store import Store

    chosen = [name.strip() for name in clusters.split(",") if name.strip()] if clusters else None
    with graph() as opened:
        report = import_saree(
            opened,
            Store(settings().store_dir),
            per_cluster=0 if facts_only else per_cluster,
            rng_range=seeds,
            images_dir=images,
            clusters=chosen,
            size_px=size_px,
            reporter=reporter(),
            over_edits=over_edits,
            dry_run=dry_run,
        )
    _show(report)


def import_wikiart_command(
    folder: Annotated[Path, typer.Argument(help="Folder with labels.csv, or with one folder of images a style.")],
    facts: Annotated[Path | None, typer.Option(help="JSON file of what is known of the artists.")] = None,
    all_classes: Annotated[
        bool, typer.Option("--all-classes", help="All 32 styles and 18 genres, not only those that occur.")
    ] = False,
    over_edits: OverEdits = False,
    dry_run: DryRun = False,
) -> None:
    """A folder of paintings becomes an artgraph.

    Either DIR/labels.csv with the columns file, style, artist, title
    (and, where known, genre, artist_death, year, sha1, split),
    or DIR/<style>/artist_title-year.jpg.

    Other spellings of styles and genres are mapped to ArtGraph's.
    Only classes that occur become class nodes: a model chooses among all.
    Rows of labels.csv whose split is `valid` are Korvai's test split.

      korvai import wikiart ~/wikiart --facts artists.json
    """
    from kg.importers.wikiart import import_wikiart
    from kg.store import Store

    with graph() as opened:
        report = import_wikiart(
            opened,
            Store(settings().store_dir),
            folder,
            facts=facts,
            all_classes=all_classes,
            reporter=reporter(),
            over_edits=over_edits,
            dry_run=dry_run,
        )
    _show(report)


def import_csv_command(
    mapping: Annotated[Path | None, typer.Argument(help="Mapping file; see data/examples/tate/mapping.yaml.")] = None,
    folder: Annotated[Path | None, typer.Option(help="Where its tables are; by default beside the mapping.")] = None,
    domain: Domain = "artgraph",
    nodes: Annotated[list[str] | None, typer.Option(help="LABEL=FILE with the columns name and properties.")] = None,
    relations: Annotated[
        list[str] | None, typer.Option(help="TYPE=FILE with the columns source, target and properties.")
    ] = None,
    offline: Offline = False,
    connections: Connections = 3,
    all_or_nothing: AllOrNothing = False,
    over_edits: OverEdits = False,
    dry_run: DryRun = False,
) -> None:
    """Any node and relation tables (CSV, also .gz), by a mapping file or with columns named as the properties.

    Online it may be interrupted and repeated: what is there stays, what is
    missing comes. Offline is for a first load, and several times faster.

      korvai import csv data/examples/tate/mapping.yaml --folder ~/tate
      korvai import csv data/examples/tate/mapping.yaml --folder ~/tate --offline
      korvai import csv --graph artgraph --nodes Artist=artists.csv --relations Teacher=teachers.csv
    """
    from kg.importers.csv_tables import import_csv, import_csv_offline
    from kg.schema import load_domain
    from kg.store import Store

    if (mapping is None) == (not nodes and not relations):
        raise SchemaViolation("import csv: give either a mapping file, or --nodes LABEL=FILE and --relations TYPE=FILE")
    what = mapping if mapping is not None else load_domain(domain)
    form = {"nodes": _pairs(nodes), "relations": _pairs(relations), "folder": folder, "reporter": reporter()}
    form |= {"dry_run": dry_run, "all_or_nothing": all_or_nothing}
    if offline:
        _show(import_csv_offline(settings(), what, **form))
        return
    with graph() as opened:
        report = import_csv(
            opened, Store(settings().store_dir), what, connections=connections, over_edits=over_edits, **form
        )
    _show(report)


def import_descriptions_command(
    file: Annotated[
        Path,
        typer.Argument(help="CSV: type, node, text, source, licence, date; or MediaWiki's extracts."),
    ],
    domain: Domain = "artgraph",
    format_: Annotated[str, typer.Option("--format", help="csv or mediawiki.")] = "csv",
    type_: Annotated[
        list[str] | None, typer.Option("--type", help="mediawiki: only nodes of this type; may be repeated.")
    ] = None,
    licence: Annotated[str, typer.Option(help="mediawiki: of all the texts.")] = "CC BY-SA 4.0",
    site: Annotated[
        str, typer.Option(help="mediawiki: what a title is put behind where a page does not say its address.")
    ] = "https://en.wikipedia.org/wiki/",
    delimiter: Annotated[str, typer.Option(help="What separates the columns.")] = ",",
    encoding: Annotated[str, typer.Option(help="Encoding of the file.")] = "utf-8",
    over_edits: OverEdits = False,
    dry_run: DryRun = False,
) -> None:
    """Texts about nodes, each with its source, licence and date; models read them.

    korvai import descriptions texts.csv --graph saree
    korvai import descriptions extracts.json --graph artgraph --format mediawiki --type Style

    type,node,text,source,licence,date
    Cluster,Kanchipuram,"Heavy silk with …",https://…,CC BY-SA 4.0,2026-01-31
    """
    from kg.importers.descriptions import import_descriptions, import_extracts
    from kg.schema import load_domain
    from kg.store import Store

    if format_ not in ("csv", "mediawiki"):
        raise SchemaViolation(f"--format {format_!r}: descriptions come as csv or mediawiki")
    form = {"reporter": reporter(), "dry_run": dry_run, "over_edits": over_edits}
    with graph() as opened:
        place = opened, Store(settings().store_dir), load_domain(domain), file
        if format_ == "mediawiki":
            report = import_extracts(*place, labels=type_ or (), licence=licence, site=site, **form)
        else:
            report = import_descriptions(*place, delimiter=delimiter, encoding=encoding, **form)
    _show(report)


def import_captions_command(
    file: Annotated[Path, typer.Argument(help="CSV with the columns image and caption.")],
    domain: Domain = "saree",
    source: Annotated[str, typer.Option(help="Who wrote them; kept on captions and scenes.")] = "caption",
    parse: Annotated[bool, typer.Option("--parse/--text-only", help="Read each caption into a scene graph.")] = True,
    delimiter: Annotated[str, typer.Option(help="What separates the columns.")] = ",",
    dry_run: DryRun = False,
) -> None:
    """Captions of images, and the scenes they speak of.

    `image` is an item's key or an image's sha256. A caption that cannot be parsed stays as text and is reported.

      korvai import captions captions.csv --graph artgraph --source "museum labels"
    """
    from kg.importers.annotations import import_captions
    from kg.schema import load_domain
    from kg.store import Store

    form = {"source": source, "parse": parse, "delimiter": delimiter, "dry_run": dry_run, "reporter": reporter()}
    with graph() as opened:
        report = import_captions(opened, Store(settings().store_dir), load_domain(domain), file, **form)
    _show(report)


def import_scenes_command(
    file: Annotated[Path, typer.Argument(help="JSON in Visual Genome's layout of scene graphs.")],
    domain: Domain = "saree",
    source: Annotated[str, typer.Option(help="Who drew them; kept on their things.")] = "annotation",
    dry_run: DryRun = False,
) -> None:
    """Scene graphs that people drew: things with boxes and attributes, and how they stand to each other.

    An entry's `image` (or else its `image_id`) is an item's key or an image's sha256.

      korvai import scenes scene_graphs.json --graph artgraph
    """
    from kg.importers.annotations import import_annotated_scenes
    from kg.schema import load_domain
    from kg.store import Store

    form = {"source": source, "dry_run": dry_run, "reporter": reporter()}
    with graph() as opened:
        report = import_annotated_scenes(opened, Store(settings().store_dir), load_domain(domain), file, **form)
    _show(report)


def import_hierarchy_command(
    file: Annotated[
        Path | None, typer.Argument(help="A list `leaf, parent, grandparent`, one class a line; unset: what ships.")
    ] = None,
    domain: Domain = "saree",
    facet: Annotated[str | None, typer.Option(help="Which hierarchy of the domain; unset: all that ship.")] = None,
    new_classes: Annotated[
        bool, typer.Option("--new-classes", help="Make class nodes for leaves that the graph does not have.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Class hierarchies: clusters under techniques and under regions, styles under traditions and eras.

    Each facet of a domain is one tree with the levels that its file declares.

      korvai import hierarchy --graph saree
      korvai import hierarchy weave.txt --graph saree --facet weave
    """
    from kg.importers.hierarchies import import_hierarchy
    from kg.schema import load_domain
    from kg.store import Store

    form = {"facet": facet, "file": file, "new_classes": new_classes, "dry_run": dry_run, "reporter": reporter()}
    with graph() as opened:
        _show(import_hierarchy(opened, Store(settings().store_dir), load_domain(domain), **form))


def list_command(
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=1000)] = 20,
) -> None:
    """The imports that this graph remembers, latest first."""
    columns = ("id", "at", "who", "state", "created", "updated", "problems", "source")
    with graph() as opened:
        rows = opened.run("import/list_batches", limit=limit)
    table = Table(*columns)
    table.columns[0].no_wrap = True  # it is what undo takes
    for row in rows:
        at = row["at"].to_native().strftime("%Y-%m-%d %H:%M")
        table.add_row(*("" if value is None else str(value) for value in ({**row, "at": at}[c] for c in columns)))
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    console.print(table if rows else "no imports yet; begin with `korvai import saree`")


def undo_command(
    batch: Annotated[str, typer.Argument(help="Id of the import, as `korvai import list` shows it.")],
) -> None:
    """Take an import back: what it changed is restored, what it alone made is removed.

    What somebody has connected or changed since stays and is reported.
    """
    from kg.importers.undo import undo_import
    from kg.store import Store

    with graph() as opened:
        report = undo_import(opened, Store(settings().store_dir), batch, reporter=reporter())
    _show(report, ("removed", "restored"))


def _pairs(options: list[str] | None) -> dict[str, Path]:
    pairs = {}
    for option in options or ():
        name, equals, file = option.partition("=")
        if not equals or not name or not file:
            raise SchemaViolation(f"{option!r}: write NAME=FILE, for example Artist=artists.csv")
        pairs[name] = Path(file)
    return pairs


def _alike_once(problems: list[Problem]) -> list[str]:
    """What is wrong, each reason once with its first place: a thousand rows with one unknown style are one line."""
    alike: dict[str, list[Problem]] = {}
    for problem in problems:
        alike.setdefault(problem.reason, []).append(problem)
    most_first = sorted(alike.values(), key=len, reverse=True)
    lines = [
        f"{same[0]}" + (f" ({len(same) - 1:,} more rows like this)" if len(same) > 1 else "") for same in most_first
    ]
    more = [f"… and {len(lines) - _SHOWN_PROBLEMS:,} more kinds"] if len(lines) > _SHOWN_PROBLEMS else []
    return lines[:_SHOWN_PROBLEMS] + more


def _show(report: ImportReport, headings: tuple[str, ...] = ("created", "updated", "unchanged")) -> None:
    table = Table("", *(f"[bold]{heading}" for heading in headings), box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for what, *numbers in report.rows():
        table.add_row(what, *(f"{number:,}" for number in numbers[: len(headings)]))
    console.print(table)
    for line in _alike_once(report.problems):
        console.print(f"[yellow]![/] {escape(line)}", soft_wrap=True)
    if report.problems:
        more = f"; all of them: {escape(str(report.problems_file))}" if report.problems_file else ""
        console.print(
            f"[yellow]{len(report.problems):,} problem{'s' if len(report.problems) > 1 else ''}{more}[/]",
            soft_wrap=True,
        )
    for line in _alike_once(report.kept):
        console.print(f"[cyan]=[/] {escape(line)}", soft_wrap=True)
    if report.kept:
        console.print(f"[cyan]{len(report.kept):,} kept as curators left them[/]; --over-edits lets the files win")
    if report.rolled_back:
        console.print("[red]nothing was kept[/]: there are problems, and --all-or-nothing was asked")
        raise typer.Exit(1)
    if report.dry_run:
        console.print("nothing was written (--dry-run)")
    elif report.batch and "created" in headings:
        console.print(f"batch {report.batch}; take it back with `korvai import undo {report.batch}`", soft_wrap=True)
    elif "created" in headings:
        nothing = "nothing was taken" if report.problems and not any(report.unchanged.values()) else "nothing new"
        console.print(f"{nothing}: see the problems" if report.problems else "nothing new: the graph had it all")
