"""Which files make up the exchange layout, and which label or relation does each hold?

The layout is that of the published raw export of ArtGraph, after the Open Graph Benchmark: comma-separated files
without a header unless said otherwise, nodes by number, names in lower case.

    mapping/<node>_entidx2name.csv          number, key
    mapping/relidx2relname.csv              number, relation; rel_entidx2name.csv is the same
    mapping/labelidx2<node>name.csv         number, key of a class
    raw/triplet-type-list.csv               source, relation, target
    raw/num-node-dict.csv                   header of node names, one row of counts
    raw/nodetype-has-feat.csv, nodetype-has-label.csv           header of node names, one row of True and False
    raw/relations/<source>___<relation>___<target>/edge.csv     number of source, number of target
    raw/relations/.../edge_reltype.csv, num-edge-list.csv       the relation's number in each row; count
    raw/node-label/<item>/node-label-<node>.csv                 the number of each item's class, nan without one

It has no place for properties. Korvai puts them into a folder of its own, which other readers do not look at:

    korvai/manifest.json                    domain, labels and relations as they are spelt, counts
    korvai/nodes/<node>.arrow, korvai/relations/<triplet>.arrow properties, a row a node or relation
    korvai/overlay/*.jsonl                  with --with-overlay: hierarchy, images, captions, scenes, edits
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kg.errors import SchemaViolation
from kg.schema import Domain, EdgeType

__all__ = [
    "KORVAI",
    "MANIFEST",
    "MAPPING",
    "RAW",
    "RELATIONS",
    "entities",
    "label_names",
    "node_name",
    "properties_file",
    "triplet_name",
    "triplet_names",
]

MAPPING, RAW, RELATIONS, KORVAI = Path("mapping"), Path("raw"), Path("raw/relations"), Path("korvai")
MANIFEST = KORVAI / "manifest.json"

_BETWEEN = "___"


def node_name(label: str) -> str:
    """A label as the layout spells it."""
    return label.lower()


def triplet_name(edge_type: EdgeType) -> str:
    """The folder of a relation."""
    return _BETWEEN.join(part.lower() for part in edge_type)


def entities(label: str) -> Path:
    """The file of a label's keys."""
    return MAPPING / f"{node_name(label)}_entidx2name.csv"


def properties_file(what: str | EdgeType) -> Path:
    """Where Korvai keeps properties of a label's nodes or of a relation."""
    name = KORVAI / "nodes" / node_name(what) if isinstance(what, str) else KORVAI / "relations" / triplet_name(what)
    return name.with_name(f"{name.name}.arrow")


def label_names(domain: Domain) -> dict[str, str]:
    """Node name of the layout -> label. Raises: SchemaViolation when two labels differ in case only."""
    return _spelt({label: node_name(label) for label in domain.node_types}, domain)


def triplet_names(domain: Domain) -> dict[str, EdgeType]:
    """Folder name of the layout -> edge type. Raises: SchemaViolation when two differ in case only."""
    return _spelt({edge_type: triplet_name(edge_type) for edge_type in domain.edge_types}, domain)


def _spelt(names: dict, domain: Domain) -> dict:
    turned = {name: what for what, name in names.items()}
    if len(turned) < len(names):
        raise SchemaViolation(
            f"exchange files of {domain.domain}: {_alike(names.values())} stands for two names that differ in case "
            "only; the layout is in lower case, rename one"
        )
    return turned


def _alike(names: Iterable[str]) -> str:
    names = list(names)
    return next(name for name in names if names.count(name) > 1)
