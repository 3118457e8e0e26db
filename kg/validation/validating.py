"""Is a domain's graph fit to be used, and if not, what is wrong where?"""

from __future__ import annotations

import time
from collections.abc import Collection

from kg.errors import SchemaViolation
from kg.graph import Graph
from kg.progress import Reporter, SilentReporter
from kg.schema import Domain, load_domain
from kg.store import Store
from kg.validation.checks import CHECKS
from kg.validation.findings import Finding, Report
from kg.validation.judging import Asked, Files, judge

__all__ = ["require_valid", "validate"]

_NAMED = 3


def validate(
    graph: Graph,
    domain: Domain | str,
    store: Store | None = None,
    *,
    reporter: Reporter | None = None,
    files: Files = "hashed",
    most: int = 5,
    only: Collection[str] = (),
) -> Report:
    """Ask every check (or those named in `only`) and gather what they find, errors first; nothing is changed.

    Image files are looked at where a store is given: `hashed` reads them all, `present` only looks whether they exist.
    Raises: SchemaViolation for a check that does not exist, GraphUnavailable.
    """
    domain = load_domain(domain) if isinstance(domain, str) else domain
    if unknown := sorted(set(only) - {check.name for check in CHECKS}):
        raise SchemaViolation(f"validate: no check {unknown[0]!r}; there are {', '.join(c.name for c in CHECKS)}")
    return _ask(graph, domain, store, reporter or SilentReporter(), files, most, only)


def require_valid(graph: Graph, domain: Domain | str, *, reporter: Reporter | None = None) -> None:
    """Refuse a graph with errors before somebody trains on it; warnings pass.

    Raises: SchemaViolation naming the first errors.
    """
    grave = [check.name for check in CHECKS if check.severity == "error"]
    report = validate(graph, domain, reporter=reporter, files="none", most=1, only=grave)
    if report.errors:
        named = "; ".join(finding.line() for finding in report.errors[:_NAMED])
        more = f" and {len(report.errors) - _NAMED} more" if len(report.errors) > _NAMED else ""
        raise SchemaViolation(
            f"{report.domain}: the graph has errors that make training wrong: {named}{more}; "
            f"`korvai validate --graph {report.domain}` shows them all with what mends each"
        )


def _ask(
    graph: Graph,
    domain: Domain,
    store: Store | None,
    reporter: Reporter,
    files: Files,
    most: int,
    only: Collection[str],
) -> Report:
    started = time.monotonic()
    asked = Asked(graph, domain, store, reporter, most, files)
    todo = [(check, place) for check in CHECKS if not only or check.name in only for place in check.places(domain)]
    findings: list[Finding] = []
    quick = [(check, place) for check, place in todo if check.kind != "files"]
    with reporter.stage(f"checking {domain.domain}", len(quick), "questions") as advance:
        for check, place in quick:
            findings += judge(check, place, asked)
            advance()
    for check, place in todo:  # files have a stage of their own, and a terminal draws one at a time
        findings += judge(check, place, asked) if check.kind == "files" else ()
    findings.sort(key=lambda finding: finding.severity)
    return Report(domain.domain, findings, len(todo), time.monotonic() - started)
