"""How does a person see how good a model is, beside simpler methods?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import context, panels

if TYPE_CHECKING:
    from kg.snapshots.snapshot import Snapshot
    from training.comparison.rows import GraphClipTable
    from training.evaluate import Table
    from training.evaluate_composition import CompositionTable
    from training.evaluate_hierarchy import HierarchyTable
    from training.fusion.evaluating import FusionTable

__all__ = ["register"]

_evaluate = typer.Typer(no_args_is_help=True, help="Result tables: several seeds, hold-outs, and every simpler method.")
Again_ = Annotated[bool, typer.Option("--again", help="Measure arms anew that were finished by an earlier command.")]
_APART_BY = {"artgraph": "Author"}
"""Graph -> relation of items that a random division lets a model learn instead of the task."""
Seeds_ = Annotated[int, typer.Option(min=1, help="Random splits; mean and standard deviation over them are printed.")]


def register(app: typer.Typer) -> None:
    """Add `korvai evaluate`."""
    _evaluate.command("saree")(saree)
    _evaluate.command("wikiart")(wikiart)
    _evaluate.command("fusion")(fusion)
    _evaluate.command("graphclip")(graphclip)
    _evaluate.command("table")(table)
    _evaluate.command("hierarchy")(hierarchy)
    _evaluate.command("composition")(composition)
    app.add_typer(_evaluate, name="evaluate", rich_help_panel=panels.MEASURE)


def saree(
    seeds: Seeds_ = 3,
    hold_outs: Annotated[int, typer.Option(min=1, help="Random groups of four clusters left out of training.")] = 5,
    again: Again_ = False,
) -> None:
    """Rendered sarees in the graph: seen clusters, clusters never trained on, and the difficulty of the images."""
    from benchmarks.difficulty_floor import measure
    from training.evaluate import evaluate_saree

    snapshot = _snapshot("saree")
    floor = {record.name.removeprefix("floor.saree."): record.value for record in measure() if record.unit == "share"}
    _tell(
        evaluate_saree(
            snapshot,
            context.settings(),
            seeds=seeds,
            hold_outs=hold_outs,
            again=again,
            floor=floor,
            reporter=context.reporter(),
        )
    )


def wikiart(
    task: Annotated[str, typer.Option(help="style or genre.")] = "style",
    seeds: Seeds_ = 3,
    again: Again_ = False,
) -> None:
    """Paintings in the graph: GraphCLIP beside a linear probe and class means on the same features and rows."""
    from training.evaluate import evaluate_wikiart

    _tell(
        evaluate_wikiart(
            _snapshot("artgraph"),
            context.settings(),
            task=task,
            seeds=seeds,
            again=again,
            reporter=context.reporter(),
        )
    )


def fusion(
    task: Annotated[str, typer.Option(help="style or genre.")] = "style",
    relation: Annotated[
        str, typer.Option(help="Relation of items whose other end is known, or was never seen.")
    ] = "Author",
    without: Annotated[str, typer.Option(help="Relation type that one more table leaves out.")] = "Movement",
    reveal: Annotated[bool, typer.Option(help="Also tell the gain as facts are revealed one by one.")] = True,
) -> None:
    """Paintings in the graph: image and graph together, beside look-up, stack and product of simpler models.

    First with artists whom the museum knows, then with artists it never had (five folds over all items), with and
    without their movements. The graph wants facts: `korvai import wikiart DIR --facts FILE`.
    """
    from kg.store import Store
    from training.features import StoredFeatures
    from training.fusion.evaluating import evaluate_disjoint, evaluate_known

    settings, reporter, snapshot = context.settings(), context.reporter(), _snapshot("artgraph")
    features = StoredFeatures(Store(settings.store_dir), image_spec=settings.vision_encoder, reporter=reporter)
    asked = {"task": task, "relation": relation, "reporter": reporter}
    name = f"eval.wikiart6.{task}_top1_artist"
    _tell_fusion(evaluate_known(snapshot, features, reveal=reveal, **asked), f"{name}_known")
    tables = evaluate_disjoint(snapshot, features, without=((), (without,)), **asked)
    for table, ending in zip(tables, ("disjoint", f"disjoint_no_{without.lower()}"), strict=True):
        _tell_fusion(table, f"{name}_{ending}")


def graphclip(
    domain: Annotated[str, typer.Option("--graph", help="saree or artgraph.")] = "saree",
    task: Annotated[str | None, typer.Option(help="Where the graph has several: style or genre.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Random splits for GraphCLIP and its rivals.")] = 5,
    arm_seeds: Annotated[int, typer.Option(min=1, help="Random splits for ablations.")] = 3,
    hold_outs: Annotated[int, typer.Option(min=0, help="Random quarters of the classes never trained on.")] = 5,
    only: Annotated[str, typer.Option(help="Arms whose name or part holds this, such as noise or unseen.")] = "",
    apart_by: Annotated[
        str | None, typer.Option(help="Relation of items for the second division; paintings: Author, '' for none.")
    ] = None,
    plots: Annotated[Path | None, typer.Option(help="Folder of the figure; the home's own unless named.")] = None,
    again: Again_ = False,
) -> None:
    """GraphCLIP beside every rival, with each of its parts taken away, and on classes never trained on.

    Stopped and started again, it goes on; intervals are 95 % of 2,000 bootstrap draws.
    """
    from training.evaluate_graphclip import evaluate_graphclip

    settings = context.settings()
    _tell(
        evaluate_graphclip(
            _snapshot(domain),
            settings,
            task=_task(domain, task),
            seeds=seeds,
            arm_seeds=arm_seeds,
            hold_outs=hold_outs,
            only=only,
            apart_by=_APART_BY.get(domain) if apart_by is None else apart_by or None,
            plots=plots or settings.store_dir / "runs" / "evaluations" / "figures",
            again=again,
            reporter=context.reporter(),
        )
    )


def table(
    file: Annotated[Path, typer.Argument(help="CSV with the columns true and pred; a further column is a class.")],
) -> None:
    """Predictions that any model made: top-1, macro figures, each class; top-2, top-5 and ECE where probabilities are.

    Intervals are 95 % of 2,000 bootstrap draws.
    """
    from training.judged_table import judge_table

    context.console.print("\n".join(judge_table(file).lines()), soft_wrap=True, markup=False)


def _tell_fusion(table: FusionTable, name: str) -> None:
    from benchmarks.records import RESULTS
    from training.evaluate import write_records

    context.console.print(f"\n[bold]{table.title}[/]\n")
    context.console.print("\n".join(table.lines()), soft_wrap=True, markup=False)
    path = write_records([table.record(name, "korvai evaluate fusion")], RESULTS / "eval.json")
    context.console.print(f"[dim]{path}[/]", soft_wrap=True)


def hierarchy(
    domain: Annotated[
        str, typer.Option("--graph", help="saree or artgraph; its hierarchies must be imported.")
    ] = "saree",
    seeds: Seeds_ = 5,
    shots: Annotated[str, typer.Option(help="Training images a class, beside all of them.")] = "1,2,4,8,16",
    publish: Annotated[
        bool,
        typer.Option("--publish", help="Also train on the whole graph, publish, and compare Cypher with the model."),
    ] = False,
    again: Again_ = False,
) -> None:
    """HGCLIP at every level of the class hierarchies, beside every simpler way to answer by levels.

    Stop it when you like: finished arms are kept, the same command goes on.

      korvai import hierarchy --graph saree && korvai evaluate hierarchy --publish
    """
    from training.evaluate_hierarchy import evaluate_hierarchy

    table = evaluate_hierarchy(
        _snapshot(domain),
        context.settings(),
        seeds=seeds,
        shots=_numbers(shots),
        again=again,
        reporter=context.reporter(),
    )
    if publish:
        table.notes.append(_published_hierarchy(domain))
    _tell(table)


def _published_hierarchy(domain: str) -> str:
    """Train and publish; how far the database's ways down are from the model's."""
    from training.hierarchy_agreement import largest_gap
    from training.run import retrain

    with context.graph() as opened:
        form = {"recipe_name": "hgclip", "gate": False, "reporter": context.reporter()}
        run, set_id = retrain(opened, context.settings(), domain, **form)
        gap = largest_gap(opened, run.recipe)
    return f"published as {set_id}; classify_down and the model differ by at most {gap:.1e} in a way's probability"


def _task(domain: str, task: str | None) -> str:
    """The task by name; a graph with several begins with its first."""
    from kg.schema import load_domain

    found = load_domain(domain)
    return found.task(task or next(iter(found.tasks)))[0]


def composition(
    seeds: Annotated[int, typer.Option(min=1, help="Training seeds; intervals are over them.")] = 5,
    arm_seeds: Annotated[int, typer.Option(min=1, help="Seeds of ablations, at most.")] = 3,
    base: Annotated[
        str, typer.Option(help="Where all arms start: an image-text model that read no attribute.")
    ] = "korvai-small-objects",
    arms: Annotated[str, typer.Option(help="Some arms only, their names separated by commas.")] = "",
    split: Annotated[str, typer.Option(help="Questions to ask: test, or valid while something is chosen.")] = "test",
    values: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting of all arms.")
    ] = None,
    again: Again_ = False,
) -> None:
    """Structure-CLIP and MosaiCLIP, their ablations and rivals on drawn sarees with exact truth; needs no graph.

    korvai evaluate composition --seeds 1 --arms "fine-tuned,Structure-CLIP"
    """
    from kg.errors import SettingsError
    from training.configuration import parse_overrides
    from training.evaluate_composition import ARMS, evaluate_composition

    chosen = tuple(name.strip() for name in arms.split(",") if name.strip()) or tuple(ARMS)
    if unknown := [name for name in chosen if name not in ARMS]:
        raise SettingsError(f"--arms {unknown[0]!r}: no such arm; choose of {', '.join(ARMS)}")
    _tell(
        evaluate_composition(
            context.settings(),
            base=base,
            seeds=seeds,
            arm_seeds=arm_seeds,
            arms=chosen,
            split=split,
            overrides=parse_overrides(values or []),
            again=again,
            reporter=context.reporter(),
        )
    )


def _numbers(text: str) -> tuple[int, ...]:
    from kg.errors import SettingsError

    try:
        found = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        found = (0,)
    if any(number < 1 for number in found):
        raise SettingsError(f"--shots {text!r}: write whole numbers from 1 on, such as 1,2,4")
    return found


def _snapshot(domain: str) -> Snapshot:
    from kg.schema import load_domain
    from kg.snapshots.snapshot import pull
    from kg.store import Store

    with context.graph() as opened:
        return pull(opened, load_domain(domain), Store(context.settings().store_dir), reporter=context.reporter())


def _tell(table: Table | HierarchyTable | GraphClipTable | CompositionTable) -> None:
    from benchmarks.records import RESULTS
    from training.evaluate import write_records

    context.console.print(f"\n[bold]{table.title}[/]\n")
    context.console.print("\n".join(table.lines()), soft_wrap=True)
    context.console.print(f"[dim]{write_records(table.records, RESULTS / 'eval.json')}[/]", soft_wrap=True)
