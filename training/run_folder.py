"""Where does a run keep what it used and what it found?

`runs/<utc>-<recipe>-<hash6>/`: config.yaml (merged), snapshot.json, metrics.json, history.json, checkpoints/,
report.html.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kg.errors import StoreError
from kg.store import atomic_write
from training.configuration import dump_config
from training.registry import RecipeConfig

__all__ = ["RunFolder"]


@dataclass(frozen=True)
class RunFolder:
    """One run's folder and the names of what lies in it."""

    path: Path

    @classmethod
    def create(
        cls, store: Any, recipe: str, config: RecipeConfig, *, snapshot: dict[str, Any] | None = None
    ) -> "RunFolder":
        """A new folder below `store.runs` (or below `store` where that is a path), with config.yaml and snapshot.json.

        Raises: StoreError where it cannot be written.
        """
        runs = Path(getattr(store, "runs", store))
        text = dump_config(config)
        moment = datetime.now(UTC)
        digest = hashlib.sha256(f"{moment.isoformat()}{recipe}{text}".encode()).hexdigest()[:6]
        folder = cls(runs / f"{moment:%Y%m%dT%H%M%SZ}-{recipe}-{digest}")
        try:
            folder.checkpoints.mkdir(parents=True)
        except OSError as error:
            raise StoreError(
                f"creating run folder {folder.path}: {error}; free space or make the store writable"
            ) from error
        folder._write(folder.config_file, text)
        folder._write(folder.snapshot_file, json.dumps(snapshot or {}, indent=1, sort_keys=True))
        return folder

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """An existing run folder.

        Raises: StoreError where the path is not one.
        """
        folder = cls(Path(path))
        if not folder.config_file.is_file():
            raise StoreError(
                f"{path} is not a run folder: it has no config.yaml; name a folder below the store's runs/"
            )
        return folder

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def config_file(self) -> Path:
        return self.path / "config.yaml"

    @property
    def snapshot_file(self) -> Path:
        return self.path / "snapshot.json"

    @property
    def metrics_file(self) -> Path:
        return self.path / "metrics.json"

    @property
    def history_file(self) -> Path:
        return self.path / "history.json"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def report_file(self) -> Path:
        return self.path / "report.html"

    def snapshot(self) -> dict[str, Any]:
        """What snapshot.json holds: the snapshot's hash and the run's frozen splits."""
        return json.loads(self.snapshot_file.read_text(encoding="utf-8"))

    def metrics(self) -> dict[str, Any]:
        """What metrics.json holds; empty before the run is measured."""
        return json.loads(self.metrics_file.read_text(encoding="utf-8")) if self.metrics_file.is_file() else {}

    def history(self) -> list[dict[str, float]]:
        """One dict a validation, in order, as the engine writes it."""
        return json.loads(self.history_file.read_text(encoding="utf-8")) if self.history_file.is_file() else []

    def write_metrics(self, metrics: dict[str, Any]) -> None:
        """Replace metrics.json."""
        self._write(self.metrics_file, json.dumps(metrics, indent=1, sort_keys=True))

    def _write(self, path: Path, text: str) -> None:
        with atomic_write(path) as file:
            file.write(text.encode())
