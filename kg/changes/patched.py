"""What is the graph now, by a snapshot of before and the edits since, without reading all of it again?

Edits say which nodes and relations to look at, never what they are: what they hold now is asked of the graph. So an
edit that was undone, or one from before the snapshot, does no harm. The result is what `korvai pull` would make, to the
last byte of its hash.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cypher import load
from kg.changes.edit_record import Edit
from kg.graph import Graph
from kg.schema import EdgeType
from kg.snapshots.content import TABLE_COLUMNS, Content, NodeTable
from kg.snapshots.folder import read_table
from kg.snapshots.node_text import node_text
from kg.snapshots.pull_pages import SHARE, fields_of
from kg.snapshots.snapshot import Snapshot, rows_of_keys

__all__ = ["NotPatchable", "patched"]

_TEXT = pa.large_string()


class NotPatchable(Exception):
    """The edits do not say all that changed; the whole graph must be read. The message says why."""


def patched(graph: Graph, old: Snapshot, edits: Sequence[Edit]) -> Content:
    """The content that a pull would make now.

    Raises: NotPatchable, GraphUnavailable.
    """
    touched = _touched(old, edits)
    nodes, place = {}, {}
    for label in old.node_types:
        nodes[label], place[label] = _nodes(graph, old, label, sorted(touched.nodes[label]))
    resized = {label: _resized(old, nodes[label], label, touched.nodes[label]) for label in old.node_types}
    _check_overlay(old, resized)
    edges, shares = {}, {}
    for edge_type in old.edge_types:
        sources = touched.sources[edge_type] | resized[edge_type[0]]
        edges[edge_type], weights = _edges(graph, old, edge_type, sources, resized[edge_type[2]], nodes, place)
        if weights is not None:
            shares[edge_type] = weights
    item = place[old.domain.item]
    item_image = np.stack([item[old.item_images[0]], np.asarray(old.item_images[1])]).astype(np.int32)
    tables = {name: [tuple(row.values()) for row in old.table(name).to_pylist()] for name in TABLE_COLUMNS}
    return Content(old.domain, nodes, edges, shares, read_table(old.path / "images.arrow"), item_image, tables)


@dataclass
class _Touched:
    """Keys by label, and source keys by edge type, that edits name."""

    nodes: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    sources: dict[EdgeType, set[str]] = field(default_factory=lambda: defaultdict(set))


def _touched(old: Snapshot, edits: Iterable[Edit]) -> _Touched:
    touched, domain = _Touched(), old.domain
    known = {relation.type for relation in domain.relations}
    for edit in edits:
        if edit.count is not None:
            raise NotPatchable(f"one transaction changed too much to be recorded one by one ({edit.batch})")
        if edit.target_key is None or (edit.on_relation and edit.other_key is None):
            raise NotPatchable(f"a {edit.target_type} without a key was edited")
        if edit.on_relation and edit.relation not in known:
            raise NotPatchable(f"a {edit.relation} relation was edited")
        if edit.on_relation:
            for edge_type in old.edge_types:
                if edge_type[:2] == (edit.target_type, edit.relation):
                    touched.sources[edge_type].add(edit.target_key)
        else:
            touched.nodes[edit.target_type].update(_keys_of(edit, domain.node_type(edit.target_type).key))
    return touched


def _keys_of(edit: Edit, key_property: str) -> set[str]:
    """A node that was renamed was known by two keys."""
    renamed = (edit.old_value, edit.new_value) if edit.key == key_property and edit.kind.endswith("property") else ()
    return {edit.target_key, *(str(key) for key in renamed if key is not None)}


def _nodes(graph: Graph, old: Snapshot, label: str, keys: list[str]) -> tuple[NodeTable, np.ndarray]:
    """A label's nodes as they are now, and where each old row is in them, -1 where it is gone."""
    before, texts = old.key_column(label), old.text_column(label)
    if not keys:
        return NodeTable(before, texts), np.arange(len(before))
    now = _texts_now(graph, old, label, keys)
    untouched = pc.invert(pc.is_in(before, value_set=pa.array(keys, _TEXT)))
    found = pa.concat_arrays([before.filter(untouched), pa.array(list(now), _TEXT)])
    order = pc.sort_indices(found)
    after = found.take(order)
    texts = pa.concat_arrays([texts.filter(untouched), pa.array(list(now.values()), _TEXT)]).take(order)
    same = after.equals(before)
    return NodeTable(after, texts), np.arange(len(before)) if same else rows_of_keys(after, before.to_pylist())


def _texts_now(graph: Graph, old: Snapshot, label: str, keys: list[str]) -> dict[str, str]:
    node_type, fields = old.domain.node_type(label), fields_of(old.domain, label)
    statement = load("changes/node_values").fill(node=label, key=node_type.key)
    rows = graph.run(statement, keys=keys, fields=list(fields))
    if len({row["key"] for row in rows}) < len(rows):
        raise NotPatchable(f"two {label} nodes have one key")
    return {
        row["key"]: node_text(node_type.text, dict(zip(fields, row["values"], strict=True)), otherwise=label)
        for row in rows
    }


def _resized(old: Snapshot, now: NodeTable, label: str, keys: set[str]) -> set[str]:
    """Keys that were not there before, or are not now."""
    if not keys:
        return set()
    ordered = sorted(keys)
    was, is_now = old.rows(label, ordered) >= 0, rows_of_keys(now.keys, ordered) >= 0
    return {key for key, before, after in zip(ordered, was, is_now, strict=True) if before != after}


def _check_overlay(old: Snapshot, resized: dict[str, set[str]]) -> None:
    """Raises: NotPatchable where images or a hierarchy may hang on a node that came or went."""
    if resized[old.domain.item]:
        raise NotPatchable(f"a {old.domain.item} was created, deleted or renamed")
    for row in old.table("hierarchy").to_pylist():
        for end in ("child", "parent"):
            if row[f"{end}_key"] in resized.get(row[f"{end}_label"], ()):
                raise NotPatchable(f"the {row[f'{end}_label']} {row[f'{end}_key']!r} of a hierarchy came or went")


def _edges(
    graph: Graph,
    old: Snapshot,
    edge_type: EdgeType,
    sources: set[str],
    targets: set[str],
    nodes: dict[str, NodeTable],
    place: dict[str, np.ndarray],
) -> tuple[np.ndarray, np.ndarray | None]:
    """Rows of one type's ends, and shares where it declares them: the old ones, and those of touched nodes as they are.

    Shapes: (2, E) int32, (E,) float32.
    """
    heads, tails = (
        place[label][np.asarray(rows)] for label, rows in zip(edge_type[::2], old.edges(edge_type), strict=True)
    )
    shares = old.shares(edge_type)
    shares = None if shares is None else np.asarray(shares)
    if not sources and not targets:
        return np.stack([heads, tails]).astype(np.int32), shares
    rows = _edges_now(graph, old, edge_type, sources, targets, with_shares=shares is not None)
    heads_now = rows_of_keys(nodes[edge_type[0]].keys, [row["head"] for row in rows])
    tails_now = rows_of_keys(nodes[edge_type[2]].keys, [row["tail"] for row in rows])
    here = (heads_now >= 0) & (tails_now >= 0)
    kept = _kept(old, edge_type, sources, targets, heads, tails, with_shares=shares is not None)
    heads, tails = np.concatenate([heads[kept], heads_now[here]]), np.concatenate([tails[kept], tails_now[here]])
    if shares is None:
        order = np.lexsort((tails, heads))
        return np.stack([heads[order], tails[order]]).astype(np.int32), None
    raw = np.array([row["weight"] for row in rows], np.float32)[here]
    alike = 1 / np.maximum(np.bincount(heads_now[here], minlength=1), 1)
    raw = np.where(raw < 0, alike[heads_now[here]], raw) if len(raw) else raw
    weights = np.concatenate([shares[kept], raw]).astype(np.float32)
    order = np.lexsort((weights, tails, heads))
    return np.stack([heads[order], tails[order]]).astype(np.int32), weights[order]


def _edges_now(
    graph: Graph, old: Snapshot, edge_type: EdgeType, sources: set[str], targets: set[str], *, with_shares: bool
) -> list[dict[str, Any]]:
    """All edges of the touched nodes, each once. Shares depend on all edges of a source: all of those are read then."""
    source, relation, target = edge_type
    keys = (old.domain.node_type(label).key for label in (source, target))
    slots = dict(zip(("source_key", "target_key"), keys, strict=True))
    slots |= {"source": source, "type": relation, "target": target}
    into = []
    if targets:
        into = graph.run(load("changes/edges_into").fill(**slots), keys=sorted(targets), weight=SHARE)
    if with_shares:
        sources |= {row["head"] for row in into} | _sources_into(old, edge_type, targets)
        into = []
    out = []
    if sources:
        out = graph.run(load("changes/edges_from").fill(**slots), keys=sorted(sources), weight=SHARE)
    return [*out, *(row for row in into if row["head"] not in sources)]


def _sources_into(old: Snapshot, edge_type: EdgeType, targets: set[str]) -> set[str]:
    heads, tails = (np.asarray(rows) for rows in old.edges(edge_type))
    mine = np.isin(tails, old.rows(edge_type[2], sorted(targets)))
    return set(old.key_column(edge_type[0]).take(pa.array(np.unique(heads[mine]))).to_pylist())


def _kept(
    old: Snapshot,
    edge_type: EdgeType,
    sources: set[str],
    targets: set[str],
    heads: np.ndarray,
    tails: np.ndarray,
    *,
    with_shares: bool,
) -> np.ndarray:
    """Old edges of which nothing was asked: both ends are there, and neither was looked at."""
    heads_before, tails_before = (np.asarray(ends) for ends in old.edges(edge_type))
    asked = np.isin(heads_before, old.rows(edge_type[0], sorted(sources)))
    if not with_shares:
        asked |= np.isin(tails_before, old.rows(edge_type[2], sorted(targets)))
    return (heads >= 0) & (tails >= 0) & ~asked
