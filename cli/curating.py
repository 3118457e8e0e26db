"""How do curators edit, look at what was edited, take it back, and decide on predictions, from the command line?"""

from __future__ import annotations

import datetime as dt
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from rich.markup import escape
from rich.table import Column, Table

from cli import context, panels
from kg.errors import SchemaViolation

if TYPE_CHECKING:
    from kg.changes.edit_record import Edit
    from kg.curation.edits import Desk
    from kg.schema import Domain

__all__ = ["register"]

_SHOWN = 30
_PIPE_WIDTH = 240  # a pipe has no width, and ids must come out whole

Graph_ = Annotated[str, typer.Option("--graph", help="The domain: artgraph, saree, or a domain file (.yaml).")]
Task_ = Annotated[str | None, typer.Option("--task", help="The task, where the domain has several: style, genre.")]
Who = Annotated[str | None, typer.Option("--who", help="Who edits; the user of this computer if left out.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept with the edit.")]
Batch = Annotated[
    str | None, typer.Option("--batch", help="Name under which edits are undone together; a new one if left out.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be written, and write nothing.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="PROPERTY=VALUE; may be repeated.")]
ToLabel = Annotated[
    str | None, typer.Option("--to-label", help="Label at the other end, where the relation leads to several.")
]
Label = Annotated[str, typer.Argument(help="Label of the node, such as Artist.")]
Key = Annotated[str, typer.Argument(help="Its key: the name, or the image file's name of an artwork.")]
Relation = Annotated[str, typer.Argument(help="Type of the relation, such as Movement.")]
OtherKey = Annotated[str, typer.Argument(metavar="OTHER", help="Key of the node at the other end.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line instead of a table.")]


def register(app: typer.Typer) -> None:
    """Add `korvai edit …`, `edits`, `undo`, `predict` and `predictions …`."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Change the graph so that every change is recorded (who, when, old and new value, why) and can be undone.",
    )
    app.add_typer(group, name="edit", rich_help_panel=panels.CURATE)
    for name, command in (
        ("create", create_command),
        ("set", set_command),
        ("link", link_command),
        ("unlink", unlink_command),
        ("wrong", wrong_command),
        ("move", move_command),
        ("merge", merge_command),
        ("add-class", add_class_command),
        ("delete", delete_command),
    ):
        group.command(name)(_with_shared_options(command, graph="saree" if name == "add-class" else "artgraph"))
    app.command("edits", rich_help_panel=panels.CURATE)(edits_command)
    app.command("undo", rich_help_panel=panels.CURATE)(undo_command)
    app.command("predict", rich_help_panel=panels.CURATE)(predict_command)
    decisions = typer.Typer(no_args_is_help=True, help="Look at what the model proposes, and accept or reject it.")
    app.add_typer(decisions, name="predictions", rich_help_panel=panels.CURATE)
    decisions.command("list")(list_predictions_command)
    decisions.command("accept")(accept_command)
    decisions.command("reject")(reject_command)


def create_command(
    desk: Desk,
    label: Label,
    key: Key,
    set_: Set = None,
) -> None:
    """A new node.

    korvai edit create Artist amrita-sher-gil --set title="Amrita Sher-Gil" --set birth=1913 --set death=1941
    """
    desk.create_node(label, key, _typed(desk.domain.node_type(label).properties, set_))


def set_command(
    desk: Desk,
    label: Label,
    key: Key,
    assignments: Annotated[
        list[str], typer.Argument(metavar="PROPERTY=VALUE...", help="Without a value (year=) the property is removed.")
    ],
) -> None:
    """Set properties of a node; `year=` removes one.

    korvai edit set Artwork vincent-van-gogh_the-starry-night.jpg year=1889 --reason "museum's catalogue"
    """
    for name, value in _typed(desk.domain.node_type(label).properties, assignments, removing=True).items():
        desk.set_property(label, key, name, value)


def link_command(
    desk: Desk,
    label: Label,
    key: Key,
    relation: Relation,
    other: OtherKey,
    to_label: ToLabel = None,
    set_: Set = None,
) -> None:
    """Connect two nodes.

    korvai edit link Artist claude-monet Movement Impressionism
    """
    known = {k: t for r in desk.domain.relations if r.type == relation for k, t in r.properties.items()}
    desk.link(label, key, relation, other, other_label=to_label, properties=_typed(known, set_))


def unlink_command(
    desk: Desk,
    label: Label,
    key: Key,
    relation: Relation,
    other: OtherKey,
    to_label: ToLabel = None,
) -> None:
    """Take a relation away.

    korvai edit unlink Artist claude-monet Movement Cubism
    """
    desk.unlink(label, key, relation, other, other_label=to_label)


def wrong_command(
    desk: Desk,
    label: Label,
    key: Key,
    relation: Relation,
    other: OtherKey,
    to_label: ToLabel = None,
) -> None:
    """Take a relation away because it is wrong, and say why.

    korvai edit wrong Artist claude-monet Teacher gustave-courbet --reason "they never met"
    """
    desk.mark_wrong(label, key, relation, other, other_label=to_label)


def move_command(
    desk: Desk,
    items: Annotated[list[str], typer.Argument(metavar="ITEM...", help="Keys of the items.")],
    to: Annotated[str, typer.Option("--to", help="Key of the class they belong to.")],
    task: Task_ = None,
) -> None:
    """Move items from their class to another one.

    korvai edit move a.jpg b.jpg --to realism --task style
    """
    for item in items:
        desk.move(item, to, task=task)


def merge_command(
    desk: Desk,
    label: Label,
    keep: Annotated[str, typer.Argument(help="Key of the node that stays.")],
    duplicate: Annotated[str, typer.Argument(help="Key of the node that goes into it.")],
) -> None:
    """Make one node of two duplicates: relations and properties move, nothing is lost, `korvai undo` parts them again.

    korvai edit merge Artist claude-monet monet --dry-run
    """
    desk.merge(label, keep, duplicate)


def add_class_command(
    desk: Desk,
    key: Annotated[str, typer.Argument(help="Key of the new class.")],
    set_: Set = None,
    link: Annotated[
        list[str] | None, typer.Option("--link", help="RELATION=KEY of a node that is there; may be repeated.")
    ] = None,
    item: Annotated[
        list[str] | None, typer.Option("--item", help="Key of an item that belongs to it; may be repeated.")
    ] = None,
    task: Task_ = None,
) -> None:
    """A new class with its relations; after `korvai refresh` it is ranked like any other.

    korvai edit add-class Maheshwari --set description="Light silk and cotton" --link HAS_BORDER=reversible
    """
    label = desk.domain.task(task)[1].target
    properties = _typed(desk.domain.node_type(label).properties, set_)
    relations = list(_pairs(link or ()))
    desk.add_class(key, properties, task=task, relations=relations, items=item or ())


def delete_command(
    desk: Desk,
    label: Label,
    key: Key,
) -> None:
    """Remove a node with its relations; `korvai undo` brings all of it back, but class vectors (`korvai refresh`).

    korvai edit delete Tag "misspelt tag" --dry-run
    """
    desk.delete_node(label, key)


def edits_command(
    who: Annotated[str, typer.Option("--who", help="Only by this person.")] = "",
    since: Annotated[str, typer.Option("--since", help="2026-01-31, 2026-01-31T08:00, or 90m, 12h, 7d ago.")] = "",
    target: Annotated[str, typer.Option("--target", help="Key of a node that was edited, linked or unlinked.")] = "",
    batch: Annotated[str, typer.Option("--batch", help="Only of this batch.")] = "",
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=100_000, help="How many, latest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """What was edited: through Korvai, or typed as raw Cypher in Neo4j Browser.

    korvai edits --since 7d --who meera
    """
    with context.graph() as opened:
        rows = opened.run("edits/list", who=who, since=_moment(since), target=target, batch=batch, limit=limit)
    for row in rows:
        row["at"] = row["at"].to_native().strftime("%Y-%m-%d %H:%M:%S")
    columns = ["id", "at", "who", "kind", "on", "change", "reason", "batch", "through", "undone"]
    _show_rows(rows, columns, as_json=as_json, nothing="no edits; `korvai edit --help` shows how to make one")


def undo_command(
    edit: Annotated[str | None, typer.Argument(help="Id of an edit, as `korvai edits` shows it.")] = None,
    batch: Annotated[str | None, typer.Option("--batch", help="Id of a batch: all of it is taken back.")] = None,
    graph: Annotated[
        str | None, typer.Option("--graph", help="A domain file of one's own, where the edit is about such nodes.")
    ] = None,
    who: Who = None,
    reason: Reason = "",
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Take back one edit or a batch; on a terminal it shows a preview and asks.

    Refused, and nothing is written, when a later edit stands in the way; that one is named. Works for edits typed as
    raw Cypher too, and for an undo.

      korvai undo 5f2a9c81d3e04b67 --dry-run
      korvai undo --batch catalogue-1994
    """
    from kg.curation.undo import undo
    from kg.schema import load_domain

    given: dict[str, Any] = {"edit": edit, "batch": batch, "who": who, "reason": reason}
    given["domains"] = [load_domain(graph)] if graph else []
    ask = context.console.is_terminal and not yes
    with context.graph() as opened:
        if dry_run or ask:
            _show_edits(undo(opened, dry_run=True, **given).edits, verb="would be written")
            if dry_run or not typer.confirm("write this?"):
                context.console.print("nothing was written")
                return
        done = undo(opened, **given)
    _show_edits(done.edits, verb="written")
    context.console.print(f"taken back as batch {done.batch}; `korvai undo --batch {done.batch}` brings it back again")


def predict_command(
    graph: Graph_ = "saree",
    task: Task_ = None,
    limit: Annotated[int | None, typer.Option(min=1, help="How many items are looked at, by their keys.")] = None,
    at_least: Annotated[float, typer.Option("--at-least", help="Propose only what is at least so probable.")] = 0.0,
    with_facts: Annotated[
        bool,
        typer.Option("--with-facts", help="By the image and all else that the graph knows of the item."),
    ] = False,
) -> None:
    """Propose a class for every item that has an image and no class, with the active model, by Cypher in the database.

    korvai predict --graph artgraph --task style --at-least 0.6
    korvai predict --graph artgraph --task style --with-facts
    """
    from kg.curation.predictions import propose
    from kg.schema import load_domain

    domain, reporter = load_domain(graph), context.reporter()
    asked = {"task": task, "limit": limit, "at_least": at_least, "reporter": reporter}
    with context.graph() as opened:
        if with_facts:
            from training.fusion.curating import propose_with_facts

            made = propose_with_facts(opened, context.settings(), domain, **asked)
        else:
            made = propose(opened, domain, **asked)
    context.console.print(
        f"{made.proposed:,} proposals for {made.looked_at:,} items without a class (set {made.embedding_set}); "
        f"{made.skipped:,} were decided before",
        soft_wrap=True,
    )
    context.console.print(f"look: korvai predictions list --graph {graph}")


def list_predictions_command(
    graph: Graph_ = "saree",
    task: Task_ = None,
    state: Annotated[str, typer.Option(help="proposed, accepted or rejected.")] = "proposed",
    class_: Annotated[str | None, typer.Option("--class", help="Only of this class.")] = None,
    at_least: Annotated[float, typer.Option("--at-least", help="Only at least so probable.")] = 0.0,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=100_000)] = 30,
    as_json: AsJson = False,
) -> None:
    """Predictions, surest first."""
    from kg.curation.predictions import list_predictions
    from kg.schema import load_domain

    with context.graph() as opened:
        rows = list_predictions(
            opened, load_domain(graph), task=task, state=state, class_key=class_, at_least=at_least, limit=limit
        )
    for row in rows:
        row["score"], row["at"] = round(row["score"], 4), row["at"].to_native().strftime("%Y-%m-%d %H:%M:%S")
    columns = ["item", "class", "score", "state", "reviewer", "at", "method", "facts", "id"]
    _show_rows(rows, columns, as_json=as_json, nothing=f"no {state} predictions; `korvai predict` proposes")


def accept_command(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ITEM...]", help="Only these items.")] = None,
    graph: Graph_ = "saree",
    task: Task_ = None,
    class_: Annotated[str | None, typer.Option("--class", help="Only of this class.")] = None,
    at_least: Annotated[float, typer.Option("--at-least", help="Only at least so probable.")] = 0.0,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=100_000, help="At most, surest first.")] = 1000,
    who: Who = None,
    reason: Reason = "",
    batch: Batch = None,
    dry_run: DryRun = False,
) -> None:
    """Accept proposals: the items get their class, as edits of one batch.

    korvai predictions accept --class Kanchipuram --at-least 0.9 --dry-run
    korvai predictions accept a.jpg b.jpg
    """
    values = {"at_least": at_least, "ids": ids, "class_key": class_, "task": task, "limit": limit}
    _decide(graph, accept=True, who=who, reason=reason, batch=batch, dry_run=dry_run, **values)


def reject_command(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ITEM...]", help="Only these items.")] = None,
    graph: Graph_ = "saree",
    task: Task_ = None,
    class_: Annotated[str | None, typer.Option("--class", help="Only of this class.")] = None,
    below: Annotated[float | None, typer.Option("--below", help="Only those less probable.")] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=100_000, help="At most, least sure first.")] = 1000,
    who: Who = None,
    reason: Reason = "",
    batch: Batch = None,
    dry_run: DryRun = False,
) -> None:
    """Reject proposals: they are not made again, and the items stay without a class.

    korvai predictions reject --below 0.2
    """
    if not ids and class_ is None and below is None:
        raise SchemaViolation("predictions reject: say which: items, --class or --below; all would be --below 2")
    values = {"below": 2.0 if below is None else below, "ids": ids, "class_key": class_, "task": task, "limit": limit}
    _decide(graph, accept=False, who=who, reason=reason, batch=batch, dry_run=dry_run, **values)


def _decide(graph: str, *, accept: bool, dry_run: bool, ids: list[str] | None, **values: Any) -> None:
    from kg.curation.predictions import decide
    from kg.schema import load_domain

    with context.graph() as opened:
        done = decide(opened, load_domain(graph), accept=accept, ids=ids or (), dry_run=dry_run, **values)
    verb = "accepted" if accept else "rejected"
    _show_rows([{**row, "score": round(row["score"], 4)} for row in done.rows[:_SHOWN]], ["item", "class", "score"])
    more = f", of which {_SHOWN} are shown" if len(done.rows) > _SHOWN else ""
    context.console.print(f"{len(done.rows):,} {'would be ' if dry_run else ''}{verb}{more}")
    if done.left:
        context.console.print(f"[yellow]{len(done.left):,} left open: their items were classified meanwhile[/]")
    if done.rows and not dry_run:
        context.console.print(f"batch {done.batch}; take it back with `korvai undo --batch {done.batch}`")


def _with_shared_options(verb: Callable[..., None], *, graph: str) -> Callable[..., None]:
    """The command that opens a desk by the options that all verbs share, and hands it to the verb."""
    hints = get_type_hints(verb, localns={"Desk": object}, include_extras=True)
    own = [part for name, part in inspect.signature(verb).parameters.items() if name != "desk"]
    options = {"graph": (Graph_, graph), "who": (Who, None), "reason": (Reason, ""), "batch": (Batch, None)}
    options["dry_run"] = (DryRun, False)

    def command(**given: Any) -> None:
        with _desk(*(given.pop(name) for name in options)) as desk:
            verb(desk, **given)

    kind = inspect.Parameter.KEYWORD_ONLY
    shared = [inspect.Parameter(name, kind, annotation=a, default=d) for name, (a, d) in options.items()]
    mine = [part.replace(kind=kind, annotation=hints[part.name]) for part in own]
    command.__signature__ = inspect.Signature([*mine, *shared])  # type: ignore[attr-defined]
    command.__doc__, command.__name__ = verb.__doc__, verb.__name__
    return command


@contextmanager
def _desk(graph: str, who: str | None, reason: str, batch: str | None, dry_run: bool) -> Iterator[Desk]:
    """A desk; afterwards it is shown what was done on it, and how to take it back."""
    from kg.curation.edits import editing
    from kg.schema import load_domain

    domain: Domain = load_domain(graph)
    with (
        context.graph() as opened,
        editing(opened, domain, who=who, reason=reason, batch=batch, dry_run=dry_run) as desk,
    ):
        yield desk
    _show_edits(desk.edits, verb="would be written" if dry_run else "written")
    for note in desk.notes:
        context.console.print(f"[dim]{escape(note)}[/]", soft_wrap=True)
    if desk.edits and not dry_run:
        one = f"korvai undo {desk.edits[0].id}" if len(desk.edits) == 1 else f"korvai undo --batch {desk.batch}"
        context.console.print(f"take it back with `{one}`", soft_wrap=True)


def _show_edits(edits: list[Edit], *, verb: str) -> None:
    from kg.curation.undo import describe

    for edit in edits[:_SHOWN]:
        context.console.print(f"  {escape(describe(edit))}", soft_wrap=True)
    if len(edits) > _SHOWN:
        context.console.print(f"  … and {len(edits) - _SHOWN:,} more")
    context.console.print(f"{len(edits):,} edit{'' if len(edits) == 1 else 's'} {verb}")


def _show_rows(rows: list[dict[str, Any]], columns: list[str], *, as_json: bool = False, nothing: str = "") -> None:
    if as_json:
        for row in rows:
            context.console.print_json(data=row, indent=None, default=str)
        return
    if not rows:
        if nothing:
            context.console.print(nothing)
        return
    if not context.console.is_terminal:
        context.console.width = _PIPE_WIDTH
    table = Table(*(Column(name, overflow="fold") for name in columns), box=None, header_style="bold")
    for row in rows:
        table.add_row(*(escape(_cell(row.get(name))) for name in columns))
    context.console.print(table)


def _cell(value: Any) -> str:
    return {None: "", True: "yes", False: ""}.get(value, str(value)) if isinstance(value, bool | None) else str(value)


def _typed(types: dict[str, str], texts: list[str] | None, *, removing: bool = False) -> dict[str, Any]:
    """PROPERTY=VALUE texts as values of the domain's types; lists are separated by semicolons."""
    from kg.importers.values import clean_properties

    values: dict[str, Any] = {}
    for name, text in _pairs(texts or ()):
        if text == "" and removing:
            values[name] = None
            continue
        given: Any = (
            [p.strip() for p in text.split(";") if p.strip()] if types.get(name, "").startswith("LIST") else text
        )
        good, complaints = clean_properties({name: given}, types)
        if complaints:
            raise SchemaViolation(f"{complaints[0]}; write another value")
        values |= good
    return values


def _pairs(texts: Any) -> Iterator[tuple[str, str]]:
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise SchemaViolation(f"{text!r}: write it as NAME=VALUE")
        yield name, value


def _moment(text: str) -> str:
    """A time as Cypher reads it; `7d` is seven days ago."""
    if not text:
        return ""
    now = dt.datetime.now(dt.UTC)
    if ago := re.fullmatch(r"(\d+)([mhd])", text):
        unit: Callable[[int], dt.timedelta] = {
            "m": lambda n: dt.timedelta(minutes=n),
            "h": lambda n: dt.timedelta(hours=n),
            "d": lambda n: dt.timedelta(days=n),
        }[ago[2]]
        return (now - unit(int(ago[1]))).isoformat()
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise SchemaViolation(f"--since {text!r}: write 2026-01-31, 2026-01-31T08:00, or 90m, 12h, 7d") from error
    return (moment if moment.tzinfo else moment.astimezone()).isoformat()
