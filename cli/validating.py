"""How does a person see what is wrong with a graph, and what mends it?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from cli import context, panels

if TYPE_CHECKING:
    from kg.validation import Report

__all__ = ["register"]

_COLOUR = {"error": "red", "warning": "yellow"}


def register(app: typer.Typer) -> None:
    """Add `korvai validate`."""
    app.command("validate", rich_help_panel=panels.CURATE)(validate)


def validate(
    graph: Annotated[str, typer.Option("--graph", help="Name of the domain, or a YAML file of one's own.")] = "saree",
    as_json: Annotated[bool, typer.Option("--json", help="The whole report as one JSON object.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 for warnings, too.")] = False,
    check: Annotated[list[str] | None, typer.Option("--check", help="Only this check; may be repeated.")] = None,
    examples: Annotated[int, typer.Option(min=1, max=1000, help="Most examples a finding.")] = 5,
    hash_files: Annotated[
        bool, typer.Option("--hash/--no-hash", help="Read every image file to see whether it has changed.")
    ] = True,
    fixes: Annotated[bool, typer.Option("--fixes/--no-fixes", help="Show what mends each finding.")] = True,
) -> None:
    """Look for what Neo4j lets pass and training would suffer from; nothing is changed.

    Missing and double keys, wrong types, too many or too few relations, cycles, relations between wrong labels, classes
    without images or context, lost image files, dates in words, orphans. Each finding comes with its number, examples
    and the statement that mends the first of them: paste it into Neo4j Browser.

    Exit code 1 when there are errors; training refuses such a graph. Warnings do not stop anything.
    """
    from kg import validation
    from kg.store import Store

    silent = {"reporter": None} if as_json else {"reporter": context.reporter()}
    with context.graph() as opened:
        report = validation.validate(
            opened,
            graph,
            Store(context.settings().store_dir),
            files="hashed" if hash_files else "present",
            most=examples,
            only=check or (),
            **silent,
        )
    if as_json:
        context.console.print_json(data=report.as_dict(), default=str)
    else:
        _show(report, fixes=fixes)
    if report.errors or (strict and report.warnings):
        raise typer.Exit(1)


def _show(report: Report, *, fixes: bool) -> None:
    table = Table(
        "",
        Column("where", overflow="fold"),
        Column("count", justify="right"),
        "what",
        Column("examples", overflow="fold"),
    )
    table.box, table.header_style = None, "bold"
    for number, finding in enumerate(report.findings, 1):
        colour = _COLOUR[finding.severity]
        shown = "\n".join(_example(example) for example in finding.examples)
        cells = (escape(finding.where), f"{finding.count:,}", escape(finding.problem), escape(shown))
        table.add_row(f"[{colour}]{number} {finding.severity}[/]", *cells)
    if report.findings:
        context.console.print(table)
    if fixes:
        _show_fixes(report)
    told = f"{len(report.errors)} errors, {len(report.warnings)} warnings"
    sound = "[green]✓[/]" if not report.errors else "[red]✗[/]"
    context.console.print(
        f"{sound} {report.domain}: {told} [dim]({report.questions} questions, {report.seconds:.1f} s)[/]"
    )


def _show_fixes(report: Report) -> None:
    for number, finding in enumerate(report.findings, 1):
        if finding.fix:
            context.console.print(f"\n[dim]{number} mend:[/]")
            context.console.out(finding.fix, highlight=False)
    if report.findings:
        context.console.print()


def _example(example: object) -> str:
    pairs = dict(example).items()  # type: ignore[call-overload]
    return ", ".join(f"{name}: {str(value)[:60]}" for name, value in pairs if name != "id") or str(example)
