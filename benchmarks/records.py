"""What does one measurement look like on disk?"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["RESULTS", "Record", "write"]

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Record:
    """One figure of one run: its value beside the baseline measured in the same run."""

    name: str
    value: float
    unit: str
    command: str
    baseline: float | None = None
    ratio: float | None = None
    spread: float | None = None
    """Standard deviation over the n repetitions."""
    n: int = 1


def write(area: str, records: list[Record]) -> Path:
    """Merge records into results/<area>.json: a name measured again replaces its older value."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{area}.json"
    known = {entry["name"]: entry for entry in json.loads(path.read_text())} if path.is_file() else {}
    known |= {record.name: asdict(record) for record in records}
    scratch = path.with_suffix(".tmp")
    scratch.write_text(json.dumps(list(known.values()), indent=1) + "\n")
    scratch.replace(path)
    return path
