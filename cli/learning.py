"""How does a person train a model on a graph, publish it, and keep it up to date?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from cli import context, panels
from cli.jobs import submit
from kg.errors import SettingsError

if TYPE_CHECKING:
    from kg.schema import Domain
    from training.registry import RecipeConfig
    from training.run import RunResult

__all__ = ["register"]

Graph_ = Annotated[str, typer.Option("--graph", help="Name of the domain, or a YAML file of one's own.")]
Task_ = Annotated[str | None, typer.Option("--task", help="What to classify; may be left out where there is one only.")]
Recipe_ = Annotated[str, typer.Option("--recipe", help="Training recipe; `korvai recipes` lists them.")]
Preset_ = Annotated[str | None, typer.Option("--preset", help="Configuration to begin with; the domain's own.")]
Overlay_ = Annotated[Path | None, typer.Option("--config", help="YAML file whose values win over the preset's.")]
Set_ = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One value that wins over both.")]


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    for verb in (retrain, pull, encode, train, publish, refresh, promote, rollback, recipes):
        app.command(rich_help_panel=panels.LEARN)(verb)


def retrain(
    graph: Graph_ = "saree",
    task: Task_ = None,
    recipe: Recipe_ = "graphclip",
    preset: Preset_ = None,
    config: Overlay_ = None,
    values: Set_ = None,
    queue: Annotated[
        bool, typer.Option("--queue/--here", help="Queue it for a worker, or do it in this process.")
    ] = True,
    gate: Annotated[
        bool, typer.Option("--gate/--no-gate", help="Keep the active model where the new one is clearly worse.")
    ] = True,
) -> None:
    """Validate, pull, encode, train, evaluate, gate, publish, classify: by a worker or, with --here, in this process.

    Stop it when you like: the same command goes on where it was.
    """
    from kg.curation.filling import classify_new
    from kg.publishing.activation import active_set
    from kg.schema import TEXT_TASK
    from kg.store import Store
    from training.run import retrain as work

    if queue:
        if config:
            raise SettingsError("--config is a file of this machine, which a worker cannot read; use --set, or --here")
        _configured(graph, task, recipe, preset, None, values)  # what a worker would refuse later is refused now
        return _queue(graph, task, recipe, preset, values, gate=gate)
    domain, merged = _configured(graph, task, recipe, preset, config, values)
    settings, reporter = context.settings(), context.reporter()
    with context.graph() as opened:
        run, _ = work(opened, settings, domain, task, recipe_name=recipe, config=merged, gate=gate, reporter=reporter)
        task = run.recipe.tasks[0]
        active = active_set(opened, domain, task).set
        if task != TEXT_TASK:
            classify_new(opened, Store(settings.store_dir), domain, task=task, reporter=reporter)
    _tell(run)
    asks = "korvai search --by embeddings" if task == TEXT_TASK else "korvai classify"
    context.console.print(f"active now: embedding set [bold]{active}[/]; [bold]{asks}[/] asks it", soft_wrap=True)
    return None


def pull(graph: Graph_ = "saree") -> None:
    """Write a snapshot of the graph: ids, relations, texts and image references, with a content hash."""
    from kg.schema import load_domain
    from kg.snapshots.snapshot import pull as work
    from kg.store import Store

    with context.graph() as opened:
        snapshot = work(opened, load_domain(graph), Store(context.settings().store_dir), reporter=context.reporter())
    table = Table("node type", "nodes")
    counts = {label: snapshot.count(label) for label in snapshot.node_types}
    for label, count in counts.items():
        if count:
            table.add_row(label, f"{count:,}")
    context.console.print(table)
    if empty := sum(not count for count in counts.values()):
        context.console.print(f"[dim]{empty} of the domain's node types have no nodes[/]")
    context.console.print(f"snapshot [bold]{snapshot.content_hash}[/]")


def encode(graph: Graph_ = "saree", task: Task_ = None, recipe: Recipe_ = "graphclip", preset: Preset_ = None) -> None:
    """Turn the texts and images of the graph into vectors that a recipe needs; what is cached is not done again."""
    from kg.snapshots.snapshot import pull as take
    from kg.store import Store
    from training.run import encode as work

    domain, merged = _configured(graph, task, recipe, preset, None, None)
    settings, reporter = context.settings(), context.reporter()
    with context.graph() as opened:
        snapshot = take(opened, domain, Store(settings.store_dir), reporter=reporter)
    counts = work(snapshot, settings, merged, reporter)
    context.console.print(f"encoded: {counts['images']:,} images, {counts['texts']:,} texts")


def train(
    graph: Graph_ = "saree",
    task: Task_ = None,
    recipe: Recipe_ = "graphclip",
    preset: Preset_ = None,
    config: Overlay_ = None,
    values: Set_ = None,
) -> None:
    """Train and measure without publishing; prints the run's folder and its report."""
    from kg.snapshots.snapshot import pull as take
    from kg.store import Store
    from training.run import train as work

    domain, merged = _configured(graph, task, recipe, preset, config, values)
    settings, reporter = context.settings(), context.reporter()
    with context.graph() as opened:
        snapshot = take(opened, domain, Store(settings.store_dir), reporter=reporter)
    _tell(work(snapshot, recipe, merged, settings, reporter))


def publish(
    run: Annotated[str, typer.Argument(help="Name or folder of a finished run.")],
    shadow: Annotated[bool, typer.Option("--shadow", help="Write the set without making it the active one.")] = False,
) -> None:
    """Write a finished run's class and image vectors into the graph and make them the active ones."""
    from training.run import open_run, publish_run

    settings, reporter = context.settings(), context.reporter()
    with context.graph() as opened:
        set_id = publish_run(
            opened, settings, open_run(settings, run, reporter), reporter=reporter, activate=not shadow
        )
    context.console.print(f"embedding set [bold]{set_id}[/] is {'written' if shadow else 'active'}")


def refresh(
    graph: Graph_ = "saree",
    task: Task_ = None,
    queue: Annotated[
        bool, typer.Option("--queue/--here", help="Queue it for a worker, or do it in this process.")
    ] = False,
) -> None:
    """Class vectors of the graph as it is now, without training: a class added a minute ago is ranked from here on."""
    from training.run import refresh as work

    if queue:
        return submit({"kind": "refresh", "graph": graph, "task": task})
    with context.graph() as opened:
        set_id = work(opened, context.settings(), graph, task, reporter=context.reporter())
    context.console.print(f"active now: embedding set [bold]{set_id}[/]")
    return None


def rollback(graph: Graph_ = "saree", task: Task_ = None) -> None:
    """Make the previous embedding set the active one again."""
    from kg.publishing.activation import rollback as work

    with context.graph() as opened:
        active = work(opened, graph, task)
    context.console.print(f"active now: embedding set [bold]{active.set}[/] of version {active.version}")


def promote(
    embedding_set: Annotated[str, typer.Argument(metavar="SET", help="Id that `korvai publish --shadow` printed.")],
    graph: Graph_ = "saree",
    task: Task_ = None,
) -> None:
    """Make a shadow embedding set the active one."""
    from kg.publishing.activation import promote as work

    with context.graph() as opened:
        active = work(opened, graph, task, embedding_set)
    context.console.print(f"active now: embedding set [bold]{active.set}[/] of version {active.version}")


def recipes(
    recipe: Annotated[
        str | None, typer.Argument(metavar="[RECIPE]", help="One of them: how its presets differ.")
    ] = None,
) -> None:
    """List the training recipes and what each can be told; of one, the presets side by side."""
    from training.registry import get_recipe, recipe_names

    if recipe is not None:
        return _compare_presets(recipe)
    for name in recipe_names():
        entry = get_recipe(name)
        table = Table("key", "default", "what it is", title=name, title_justify="left")
        for key, field in entry.config_cls.model_fields.items():
            table.add_row(key, str(field.get_default(call_default_factory=True)), field.description or "")
        context.console.print(table)
    context.console.print("[bold]korvai recipes RECIPE[/] shows how its presets differ")
    return None


def _compare_presets(recipe: str) -> None:
    from training.configuration import PRESETS_DIR, preset_differences, preset_names
    from training.registry import get_recipe

    names = preset_names(recipe)
    table = Table("key", *names, title=f"{recipe}: where presets differ", title_justify="left")
    for key, values in preset_differences(get_recipe(recipe).config_cls, recipe).items():
        table.add_row(key, *(_short(value) for value in values))
    context.console.print(table)
    context.console.print(f"why: the first lines of {PRESETS_DIR / recipe}/*.yaml", soft_wrap=True)


def _short(value: Any) -> str:
    if isinstance(value, dict) and len(value) > 1:
        return f"{len(value)} given"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _configured(
    graph: str, task: str | None, recipe: str, preset: str | None, overlay: Path | None, values: list[str] | None
) -> tuple[Domain, RecipeConfig]:
    from kg.schema import load_domain
    from training.configuration import parse_overrides
    from training.run import choose_config

    domain = load_domain(graph)
    overrides = parse_overrides(values or [])
    if task:
        overrides["task"] = domain.task(task)[0]
    texts = context.settings().text_encoder
    return domain, choose_config(
        recipe, domain, preset=preset, overlay=overlay, overrides=overrides, text_encoder=texts
    )


def _queue(
    graph: str, task: str | None, recipe: str, preset: str | None, values: list[str] | None, *, gate: bool
) -> None:
    from training.configuration import parse_overrides

    params = {"preset": preset, "config": parse_overrides(values or []), "gate": gate}
    said = {"kind": "retrain", "graph": graph, "task": task, "recipe": recipe, "params": json.dumps(params)}
    submit(said)


def _tell(run: RunResult) -> None:
    shown = {"top-1": "top1", "top-5": "top5", "macro F1": "macro_f1", "ECE": "ece"}
    if not run.metrics["classes"]:
        shown = {"true sentence preferred": "preferred", "found by caption": "found_top1"}
    table = Table("split", "images", *shown)
    for split, figures in run.metrics["splits"].items():
        cells = [figures.get(name) for name in shown.values()]
        count = "" if (n := figures.get("examples")) is None else f"{int(n):,}"
        table.add_row(split, count, *("" if c is None else f"{c:.3f}" for c in cells))
    context.console.print(table)
    if run.folder.report_file.is_file():
        context.console.print(f"report: {run.folder.report_file}", soft_wrap=True)
