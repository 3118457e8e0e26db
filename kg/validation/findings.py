"""What does a validation tell: one finding a place, all of them as a report?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = ["Finding", "Report", "Severity"]

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong at one place."""

    check: str
    severity: Severity
    where: str
    """Label, label.property, or (source)-[type]->(target)."""
    count: int
    problem: str
    examples: Sequence[Mapping[str, Any]] = ()
    fix: str = ""
    """A statement for Neo4j Browser, filled with the first example, or a command."""

    def line(self) -> str:
        """The finding in one line."""
        shown = "; ".join(_short(example) for example in self.examples[:1])
        return f"{self.where}: {self.count:,} {self.problem}" + (f", such as {shown}" if shown else "")


@dataclass(frozen=True)
class Report:
    """All findings of one validation, errors first."""

    domain: str
    findings: Sequence[Finding] = ()
    questions: int = 0
    """Statements that were asked."""
    seconds: float = field(default=0.0, compare=False)

    @property
    def errors(self) -> list[Finding]:
        """What makes results wrong."""
        return [finding for finding in self.findings if finding.severity == "error"]

    @property
    def warnings(self) -> list[Finding]:
        """What a curator should look at."""
        return [finding for finding in self.findings if finding.severity == "warning"]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "errors": len(self.errors), "warnings": len(self.warnings)}


def _short(example: Mapping[str, Any]) -> str:
    parts = [f"{name} {str(value)[:60]!r}" for name, value in example.items() if name != "id"]
    return " ".join(parts) or str(dict(example))
