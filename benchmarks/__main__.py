"""Which areas can be measured, and where do the figures go? `make bench`, or `make bench ONLY=<area>`."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys

from rich.console import Console
from rich.table import Table

import benchmarks
from benchmarks.records import Record, write

console = Console(highlight=False)


def main() -> int:
    """Measure the areas asked for, print them as tables, write results/<area>.json."""
    areas = [
        m.name for m in pkgutil.iter_modules(benchmarks.__path__) if not (m.ispkg or m.name in ("records", "__main__"))
    ]
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", choices=areas, help="one area instead of all")
    chosen = parser.parse_args().only
    for area in [chosen] if chosen else areas:
        records = importlib.import_module(f"benchmarks.{area}").measure()
        console.print(_table(area, records))
        console.print(f"[dim]{write(area, records)}[/]")
    return 0


def _table(area: str, records: list[Record]) -> Table:
    table = Table("figure", "value", "±", "baseline", "ratio", "n", title=area)
    for r in records:
        cells = (r.name, f"{r.value:.4g} {r.unit}", _number(r.spread), _number(r.baseline), _number(r.ratio), str(r.n))
        table.add_row(*cells)
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
