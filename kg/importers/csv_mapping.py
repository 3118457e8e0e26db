"""Which columns of which files are which nodes and relations?

A mapping is a YAML file; paths in it are relative to the folder that holds it:

    domain: domain.yaml              # a shipped domain's name, or a domain file of one's own
    tables:
      - file: artworks.csv.gz        # delimiter: ",", encoding: utf-8, quote: '"' unless said otherwise
        node: TateArtwork            # one node a row
        key: acno                    # the column with its key
        properties: {title: title, year: year}              # property: column
        image: file                  # column with the picture's path, relative to the table; split: its column
        links:
          - {type: Author, target: TateArtist, column: artist, make: true}
          - {type: About, target: TateSubject, column: subjects, separator: "|", make: true}
      - file: teachers.csv           # one relation a row
        relation: [TateArtist, Teacher, TateArtist]
        source: pupil
        target: teacher
        properties: {source: book}

`make` creates targets that do not exist; `properties` of a link become properties of the targets it makes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from kg.errors import SchemaViolation
from kg.importers.csv_reading import read_header
from kg.schema import Domain, EdgeType, load_domain

__all__ = ["Link", "Mapping", "Table", "load_mapping", "mapping_from_files"]

Separator = Annotated[str, BeforeValidator(str)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Link(_Part):
    """A column that names the other ends of a relation from (or, `reverse`, to) the row's node."""

    type: str
    target: str
    column: str
    separator: Separator | None = None
    make: bool = False
    reverse: bool = False
    properties: dict[str, str] = {}


class Table(_Part):
    """One CSV file: nodes with links, or relations."""

    file: Path
    delimiter: str = ","
    encoding: str = "utf-8"
    quote: str = '"'
    node: str | None = None
    key: str | None = None
    properties: dict[str, str] = {}
    separators: dict[str, str] = {}
    """Property -> separator, for properties that hold lists."""
    image: str | None = None
    split: str | None = None
    links: tuple[Link, ...] = ()
    relation: EdgeType | None = None
    source: str | None = None
    target: str | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Table:
        node, relation = (self.node, self.key), (self.relation, self.source, self.target)
        if all(node) == all(relation) or (any(node) and any(relation)):
            raise ValueError(f"{self.file}: give either node and key, or relation, source and target")
        if self.relation and (self.links or self.image):
            raise ValueError(f"{self.file}: links and image belong to tables of nodes")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that must be there."""
        single = (self.key, self.source, self.target, self.image, self.split)
        links = (name for link in self.links for name in (link.column, *link.properties.values()))
        return tuple(dict.fromkeys([*filter(None, single), *self.properties.values(), *links]))


class Mapping(_Part):
    """A checked mapping; `path` names it in reports."""

    domain: Domain
    tables: tuple[Table, ...]
    path: Path

    @model_validator(mode="after")
    def _known(self) -> Mapping:
        for table in self.tables:
            edges = [
                (table.node, k.type, k.target) if not k.reverse else (k.target, k.type, table.node) for k in table.links
            ]
            for edge in [*edges, *([table.relation] if table.relation else [])]:
                if tuple(edge) not in self.domain.edge_types:
                    known = ", ".join("-".join(e) for e in self.domain.edge_types)
                    raise ValueError(
                        f"{table.file}: {self.domain.domain} has no relation {'-'.join(edge)}; known: {known}"
                    )
            if table.node:
                self.domain.node_type(table.node)
            if table.image and table.node != self.domain.item:
                raise ValueError(f"{table.file}: images hang on {self.domain.item}, not on {table.node}")
        return self


def load_mapping(path: Path, *, folder: Path | None = None) -> Mapping:
    """Read a mapping; its tables are sought in `folder`, by default the one that holds the mapping.

    Raises: SchemaViolation with the file and the first contradiction.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:200]
        raise SchemaViolation(f"mapping {path}: cannot be read ({reason}); give a YAML file") from error
    if not isinstance(raw, dict) or "domain" not in raw or "tables" not in raw:
        raise SchemaViolation(f"mapping {path}: must hold `domain` and `tables`; `korvai import csv --help` shows one")
    named = str(raw["domain"])
    domain = load_domain(path.parent / named if named.endswith((".yaml", ".yml")) else named)
    return _checked(path, domain, raw["tables"], folder or path.parent)


def mapping_from_files(domain: Domain, nodes: dict[str, Path], relations: dict[str, Path]) -> Mapping:
    """The mapping of files whose columns are called as the graph's properties.

    A file of nodes has the key's column (`name` mostly) and one a property; a file of relations has `source`, `target`
    and one a property. A relation is named by its type, or Source-Type-Target where the type alone is not enough.
    Raises: SchemaViolation.
    """
    tables: list[dict[str, Any]] = []
    for label, path in nodes.items():
        key = domain.node_type(label).key
        rest = {name: name for name in read_header(path) if name != key}
        tables.append({"file": path, "node": label, "key": key, "properties": rest})
    for named, path in relations.items():
        rest = {name: name for name in read_header(path) if name not in ("source", "target")}
        edge_type = _edge_type(domain, named)
        tables.append({"file": path, "relation": edge_type, "source": "source", "target": "target", "properties": rest})
    return _checked(Path("the command line"), domain, tables, Path())


def _checked(path: Path, domain: Domain, tables: Any, folder: Path) -> Mapping:
    try:
        mapping = Mapping.model_validate({"domain": domain, "tables": tables, "path": path})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise SchemaViolation(f"mapping {path}: {place}: {first['msg'].removeprefix('Value error, ')}") from error
    placed = tuple(table.model_copy(update={"file": folder / table.file}) for table in mapping.tables)
    return mapping.model_copy(update={"tables": placed})


def _edge_type(domain: Domain, named: str) -> EdgeType:
    found = [edge for edge in domain.edge_types if named in (edge[1], "-".join(edge))]
    if len(found) == 1:
        return found[0]
    known = ", ".join("-".join(e) for e in (found or domain.edge_types))
    raise SchemaViolation(f"relation {named!r}: {'which of' if found else 'not one of'} {known}?")
