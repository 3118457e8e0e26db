"""How does a whole graph, from exchange files, lists or the generator, get into the database?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kg.exchange.reading import read_exchange
from kg.graph import connect
from kg.importers.artgan import read_artgan
from kg.importers.columns import GraphColumns
from kg.importers.report import ImportReport, Problem
from kg.importers.tables import CONNECTIONS
from kg.loading.offline import load_offline
from kg.loading.online import load_online
from kg.progress import Reporter
from kg.schema import Domain
from kg.settings import Settings
from kg.store import Store

__all__ = ["How", "import_artgan", "import_columns", "import_exchange"]


@dataclass(frozen=True)
class How:
    """The ways of loading: into the live graph, or offline into an empty database of the embedded server."""

    offline: bool = False
    connections: int = CONNECTIONS
    all_or_nothing: bool = False
    dry_run: bool = False
    over_edits: bool = False


_ONLINE = How()


def import_exchange(
    settings: Settings, folder: Path, *, reporter: Reporter, domain: Domain | None = None, how: How = _ONLINE
) -> ImportReport:
    """Read a folder of exchange files into the database; a second time it changes nothing.

    Raises: SchemaViolation (no such folder, or what the loaders refuse), StoreError, GraphUnavailable.
    """
    read = read_exchange(folder, domain, reporter=reporter)
    about = {"kind": "exchange", "source": str(folder), "problems": read.problems}
    return import_columns(settings, read.columns, reporter=reporter, how=how, **about)


def import_artgan(
    settings: Settings, folder: Path, *, reporter: Reporter, merge: bool = False, how: How = _ONLINE
) -> ImportReport:
    """Read the ArtGAN lists into the database; a second time it changes nothing.

    Raises: SchemaViolation (no lists, or what the loaders refuse), StoreError, GraphUnavailable.
    """
    read = read_artgan(folder, reporter=reporter, merge=merge)
    about = {"kind": "artgan", "source": str(folder), "problems": read.problems}
    return import_columns(settings, read.columns, reporter=reporter, how=how, **about)


def import_columns(
    settings: Settings,
    columns: GraphColumns,
    *,
    kind: str,
    source: str,
    reporter: Reporter,
    problems: Iterable[Problem] = (),
    how: How = _ONLINE,
) -> ImportReport:
    """Load a graph in columns. `problems` are those of reading it; they stand in the report too.

    Raises: SchemaViolation, SettingsError, StoreError, ServiceError, GraphUnavailable.
    """
    form = {"kind": kind, "source": source, "problems": list(problems), "reporter": reporter}
    form |= {"dry_run": how.dry_run, "all_or_nothing": how.all_or_nothing}
    if how.offline:
        return load_offline(settings, columns, **form)
    with connect(settings) as graph:
        form |= {"connections": how.connections, "over_edits": how.over_edits}
        return load_online(graph, Store(settings.store_dir), columns, **form)
