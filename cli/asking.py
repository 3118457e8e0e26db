"""How does a person ask the published model from the command line?"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column, Table

from cli import context, panels
from kg.errors import KorvaiError, SettingsError, StatementError

if TYPE_CHECKING:
    from cypher import Statement
    from kg.classify import Score
    from kg.schema import Domain
    from training.fusion.answering import Answer

__all__ = ["register"]

_LONGEST_LIST = 8
_WIDEST = 100_000

Domain_ = Annotated[str, typer.Option("--graph", help="Name of the domain, or a YAML file of one's own.")]
Task_ = Annotated[str | None, typer.Option("--task", help="The domain's task; may be left out where it has one only.")]


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command("classify", rich_help_panel=panels.ASK)(classify)
    app.command("cypher", rich_help_panel=panels.ASK)(cypher)


def classify(
    images: Annotated[
        list[Path] | None, typer.Argument(metavar="[IMAGE...]", help="Image files; they need not be in the graph.")
    ] = None,
    graph: Domain_ = "saree",
    task: Task_ = None,
    k: Annotated[int, typer.Option("-k", "--top", min=1, max=1000, help="How many classes to show.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a file instead of a table.")] = False,
    item: Annotated[
        list[str] | None, typer.Option("--item", help="Key of an item of the graph; may be repeated.")
    ] = None,
    with_facts: Annotated[
        bool, typer.Option("--with-facts", help="With --item: by its image and all that the graph knows of it.")
    ] = False,
    facts: Annotated[
        str | None, typer.Option(help="With --with-facts: only these, comma separated; `` is the image alone.")
    ] = None,
) -> None:
    """Rank the classes of image files, or of items of the graph, with the active model.

    With [bold]--with-facts[/] what the museum already knows of an item speaks too, and what counted is told:
    [bold]korvai classify --graph artgraph --task style --item KEY --with-facts[/]
    """
    from kg.classify import classify_files

    if bool(images) == bool(item) or (with_facts and not item):
        raise SettingsError("classify: give image files, or --item KEY (and --with-facts where facts shall count)")
    if item:
        return _classify_items(item, graph, task, k, facts=facts, with_facts=with_facts, as_json=as_json)
    failed = False
    with context.graph() as opened:
        for path, answer in classify_files(opened, context.settings(), images, domain=graph, task=task, k=k):
            if isinstance(answer, KorvaiError):
                context.error_console.print(f"[red]error:[/] {escape(str(answer))}", soft_wrap=True)
                failed = True
            elif as_json:
                context.console.print_json(
                    data={"image": str(path), "classes": [vars(score) for score in answer]}, indent=None
                )
            else:
                _show_scores(path, answer)
    if failed:
        raise typer.Exit(1)
    return None


def _classify_items(
    keys: list[str], graph: str, task: str | None, k: int, *, facts: str | None, with_facts: bool, as_json: bool
) -> None:
    from kg.classify import classify_item
    from kg.schema import load_domain

    domain = load_domain(graph)
    with context.graph() as opened:
        if with_facts:
            from training.fusion.curating import ask_with_facts

            known = None if facts is None else [fact.strip() for fact in facts.split(",") if fact.strip()]
            form = {"task": task, "facts": known, "reporter": context.reporter()}
            for answer in ask_with_facts(opened, context.settings(), domain, keys, **form):
                _show_answer(answer, k, as_json=as_json)
            return
        for key in keys:
            scores = classify_item(opened, domain, task, key, k=k)
            if as_json:
                data = {"item": key, "classes": [vars(score) for score in scores]}
                context.console.print_json(data=data, indent=None)
            else:
                _show_scores(key, scores)


def _show_answer(answer: Answer, k: int, *, as_json: bool) -> None:
    if as_json:
        context.console.print_json(data={**asdict(answer), "ranking": answer.ranking[:k]}, indent=None)
        return
    form = {"box": None, "header_style": "bold", "title_justify": "left"}
    table = Table("class", "probability", "", title=escape(answer.item), **form)
    for class_key, probability in answer.ranking[:k]:
        table.add_row(escape(class_key), f"{probability:7.1%}", "█" * round(30 * probability))
    context.console.print(table)
    (first, _), (second, _) = answer.ranking[:2]
    counted = Table("what counted", "points", title=f"for {escape(first)}, against {escape(second)}", **form)
    for part in answer.counted[:_LONGEST_LIST]:
        keys = ", ".join(n.key for n in answer.neighbours if n.relation == part.fact)
        counted.add_row(escape(f"{part.fact}: {keys}" if keys else part.fact), f"{part.points:+.2f}")
    for alike in answer.alike:
        counted.add_row(escape(f"like {alike.item} ({alike.class_key})"), f"{alike.points:+.2f}")
    context.console.print(counted)
    context.console.print()


def cypher(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A saved statement, such as images/classify.")
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", help="KEY=VALUE; @FILE reads JSON from a file.")
    ] = None,
    slot: Annotated[list[str] | None, typer.Option("--slot", help="KEY=NAME of a label, type or property.")] = None,
    graph: Domain_ = "saree",
    task: Task_ = None,
    show: Annotated[
        bool, typer.Option("--show", help="Print the text for Neo4j Browser instead of running it.")
    ] = False,
    inline: Annotated[
        bool, typer.Option("--inline", help="With --show: values in the text instead of :param lines.")
    ] = False,
    text: Annotated[
        str | None, typer.Option("--text", metavar="CYPHER", help="A question of your own, read only, instead of NAME.")
    ] = None,
    list_all: Annotated[bool, typer.Option("--list", help="List all saved statements.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Allow a statement that changes the graph.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a row instead of a table.")] = False,
) -> None:
    """Run a saved Cypher statement and print its rows, or show it ready for Neo4j Browser.

    [bold]korvai cypher items/similar -p item=NAME[/]
    [bold]korvai cypher --text "MATCH (c:Cluster) RETURN c.name LIMIT 5"[/]
    """
    if text is not None:
        _run_own(name, text, as_json=as_json)
    elif list_all or name is None:
        _list_statements()
    elif show:
        _show_statement(name, _pairs(param, "--param"), _pairs(slot, "--slot"), graph, task, inline=inline)
    else:
        _run(name, _pairs(param, "--param"), _pairs(slot, "--slot"), graph, task, write=write, as_json=as_json)


def _run(
    name: str,
    typed: dict[str, str],
    slots: dict[str, str],
    domain_name: str,
    task: str | None,
    *,
    write: bool,
    as_json: bool,
) -> None:
    from kg.schema import load_domain
    from kg.statements import parse_values, statement_for

    domain = load_domain(domain_name)
    with context.graph() as opened:
        statement = statement_for(opened, name, domain, task, slots=slots)
        values = parse_values(statement, typed, _defaults(statement, domain, task, typed))
        if statement.access != "read" and not write:
            raise StatementError(f"{name}: changes the graph ({statement.access}); add --write if you mean it")
        rows = opened.run(statement, **values)
    columns = [field.name for field in statement.returns] or list(rows[0] if rows else [])
    _show(columns, rows, as_json=as_json, nothing=f"{statement.name}: done")


def _run_own(name: str | None, text: str, *, as_json: bool) -> None:
    if name is not None:
        raise StatementError(f"--text: {name} is a saved statement; give its name, or a text, not both")
    with context.graph() as opened:
        columns, found = opened.user_query(text)
    _show(columns, [dict(zip(columns, row, strict=True)) for row in found], as_json=as_json, nothing="your query: done")


def _show_statement(
    name: str, typed: dict[str, str], slots: dict[str, str], domain_name: str, task: str | None, *, inline: bool
) -> None:
    from kg.schema import load_domain
    from kg.statements import browser_text, parse_values

    domain = load_domain(domain_name)
    statement = _without_server(name, domain, task, slots) or _with_server(name, domain, task, slots)
    values = parse_values(statement, typed, _defaults(statement, domain, task, typed))
    text = browser_text(statement, values, inline=inline)
    context.console.out(text, highlight=False)


def _without_server(name: str, domain: Domain, task: str | None, slots: dict[str, str]) -> Statement | None:
    """The statement, unless it asks for names that only the active set knows."""
    from cypher import StatementFileError, load
    from kg.statements import SET_SLOTS, statement_for

    try:
        needed = {slot.name for slot in load(name).slots} & SET_SLOTS
    except StatementFileError as error:
        raise StatementError(str(error)) from error
    return None if needed else statement_for(None, name, domain, task, slots=slots)


def _with_server(name: str, domain: Domain, task: str | None, slots: dict[str, str]) -> Statement:
    from kg.statements import statement_for

    with context.graph() as opened:
        return statement_for(opened, name, domain, task, slots=slots)


def _defaults(statement: Statement, domain: Domain, task: str | None, typed: dict[str, str]) -> dict[str, Any]:
    """What --graph and --task say of the parameters `domain` and `task`."""
    wanted = {param.name for param in statement.params} - set(typed)
    defaults: dict[str, Any] = {"domain": domain.domain} if "domain" in wanted else {}
    return {**defaults, "task": domain.task(task)[0]} if "task" in wanted else defaults


def _pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts or []:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise StatementError(f"{option} {text!r}: write it as KEY=VALUE")
        if key in pairs:
            raise StatementError(f"{option} {key}: is given twice")
        pairs[key] = value
    return pairs


def _list_statements() -> None:
    from cypher import load, names

    table = Table("statement", "access", "what it does", "parameters", box=None, header_style="bold")
    for name in names():
        statement = load(name)
        params = ", ".join(f"{p.name}={p.default}" if p.default else p.name for p in statement.params)
        table.add_row(name, statement.access, escape(statement.summary), escape(params))
    context.console.print(table)


def _show_scores(path: Path | str, scores: list[Score]) -> None:
    table = Table(
        "class", "probability", "", box=None, header_style="bold", title_justify="left", title=escape(str(path))
    )
    for score in scores:
        table.add_row(escape(score.class_key), f"{score.probability:7.1%}", "█" * round(30 * score.probability))
    context.console.print(table)
    context.console.print(f"[dim]version {scores[0].version}, set {scores[0].embedding_set}[/]\n")


def _show(columns: list[str], rows: list[dict[str, Any]], *, as_json: bool, nothing: str) -> None:
    if as_json:
        for row in rows:
            context.console.print_json(data=row, indent=None, default=str)
        return
    if not columns:
        context.console.print(nothing)
        return
    table = Table(*(Column(name, overflow="fold") for name in columns), box=None, header_style="bold")
    for row in rows:
        table.add_row(*(escape(_cell(row.get(column))) for column in columns))
    if not context.console.is_terminal:
        context.console.width = _WIDEST  # a pipe has no width: ids must come out whole there
    context.console.print(table)
    context.console.print(f"[dim]{len(rows):,} rows[/]")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list) and len(value) > _LONGEST_LIST:
        return f"{json.dumps(value[:_LONGEST_LIST], default=str)[:-1]}, … {len(value):,} in all]"
    return json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, list | dict) else str(value)
