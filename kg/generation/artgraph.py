"""What does an invented ArtGraph of any size look like, with the published counts at scale 1?

Hubs and long tails as real collections have them; an artist keeps mostly to one style and works within a lifetime;
names are invented, styles and genres are ArtGraph's. The same scale and seed give the same tables to the last byte.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kg.generation.counts import Counts, RelationCount, scaled_counts
from kg.generation.degrees import assign_one_each, distinct_pairs, hub_degrees, proportional, scattered_degrees
from kg.generation.names import capacity, invent, joined, patterns, words
from kg.importers.art_names import class_facts, slug
from kg.importers.columns import KEY, SOURCE, TARGET, GraphColumns
from kg.progress import Reporter
from kg.schema import EdgeType, load_domain

__all__ = ["generate_artgraph"]

_AUTHOR: EdgeType = ("Artwork", "Author", "Artist")
_STYLE: EdgeType = ("Artwork", "Style", "Style")
_STRAYS = {"Style": 0.15, "Genre": 0.4}
"""Share of artworks whose class is not the one that their artist mostly has."""

_UNDATED = 0.25
_ARTWORKS_A_TITLE = 3
_THIS_YEAR = 2020
_FIRST_YEAR, _LAST_YEAR = 1400, 2015
"""Where a style does not say."""

Ends = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class _Making:
    """What is made so far; each part draws from a stream of its own, so that parts do not depend on each other."""

    counts: Counts
    rng_seed: int
    nodes: dict[str, pa.Table] = field(default_factory=dict)
    ends: dict[EdgeType, Ends] = field(default_factory=dict)

    def rng(self, part: str) -> np.random.Generator:
        return np.random.default_rng([self.rng_seed, zlib.crc32(part.encode())])

    def targets_of(self, edge_type: EdgeType) -> np.ndarray:
        return self.ends[edge_type][1]


def generate_artgraph(*, scale: float, seed: int, reporter: Reporter) -> GraphColumns:
    """An ArtGraph of 135,038 nodes and 875,416 relations times `scale` (0.01 to 10), in the published schema.

    Raises: SchemaViolation for a scale outside.
    """
    making, domain = _Making(scaled_counts(scale), seed), load_domain("artgraph")
    with reporter.stage("inventing relations", sum(r.count for r in making.counts.relations), "relations") as advance:
        for relation in sorted(making.counts.relations, key=lambda r: r.edge_type != _AUTHOR):
            making.ends[relation.edge_type] = _ends(making, relation)
            advance(relation.count)
    with reporter.stage("naming nodes", sum(making.counts.nodes.values()), "nodes") as advance:
        for label in ("City", *(other for other in making.counts.nodes if other not in ("City", "Artwork")), "Artwork"):
            making.nodes[label] = _NODES.get(label, _named_nodes)(making, label)
            advance(making.nodes[label].num_rows)
    nodes = {label: making.nodes[label] for label in domain.node_types}
    return GraphColumns(domain, nodes, {edge_type: _keyed(making, edge_type) for edge_type in domain.edge_types})


def _ends(making: _Making, relation: RelationCount) -> Ends:
    """Rows of sources and targets of all relations of one type, by source."""
    rng = making.rng("-".join(relation.edge_type))
    sources, targets = (making.counts.nodes[label] for label in (relation.source, relation.target))
    in_degrees = _in_degrees(making, relation, sources, targets)
    if relation.per_source == "several":
        out_degrees = scattered_degrees(rng, relation.count, sources, cap=targets // 2)
        return distinct_pairs(rng, out_degrees, in_degrees, within=relation.source == relation.target)
    strays = _STRAYS.get(relation.target)
    groups = making.targets_of(_AUTHOR) if strays else None
    of_each = assign_one_each(rng, in_degrees, groups=groups, strays=strays or 1.0)
    return np.sort(rng.permutation(sources)[: relation.count]), of_each


def _in_degrees(making: _Making, relation: RelationCount, sources: int, targets: int) -> np.ndarray:
    published = making.counts.classes.get(relation.target)
    if published:
        return proportional(np.array([published[key] for key in class_facts(relation.target)], float), relation.count)
    return hub_degrees(relation.count, targets, head=relation.head, cap=max(sources // 2, 1))


def _keyed(making: _Making, edge_type: EdgeType) -> pa.Table:
    columns = zip((SOURCE, TARGET), (edge_type[0], edge_type[2]), making.ends[edge_type], strict=True)
    return pa.table({name: making.nodes[label][KEY].take(pa.array(rows)) for name, label, rows in columns})


# -- nodes -------------------------------------------------------------------------------------------------------------


def _named_nodes(making: _Making, label: str) -> pa.Table:
    return pa.table({KEY: invent(patterns(label), _lists(making), making.counts.nodes[label], making.rng(label))})


def _class_nodes(making: _Making, label: str) -> pa.Table:
    facts = class_facts(label)
    names = dict.fromkeys(name for entry in facts.values() for name in entry)
    del making  # the classes are the same at every scale
    return pa.table({KEY: list(facts)} | {name: [entry.get(name) for entry in facts.values()] for name in names})


def _artist_nodes(making: _Making, label: str) -> pa.Table:
    """Born forty years before the middle of their work, which lies within the years of their style."""
    rng, count = making.rng(label), making.counts.nodes[label]
    titles = invent(patterns(label), _lists(making), count, rng)
    middle = _middle_years(making, rng)
    birth = middle - 40 + rng.integers(-5, 6, count)
    death = birth + rng.integers(52, 92, count)
    cities = making.nodes["City"][KEY].combine_chunks()
    return pa.table({
        KEY: pa.array([slug(title) for title in titles.to_pylist()]),
        "title": titles,
        "birth": pa.array(birth),
        "death": pa.array(death, mask=death > _THIS_YEAR),
        "birth_place": cities.take(pa.array(rng.integers(0, len(cities), count))),
    })  # fmt: skip


def _middle_years(making: _Making, rng: np.random.Generator) -> np.ndarray:
    styles, authors = making.targets_of(_STYLE), making.targets_of(_AUTHOR)
    style_of = np.zeros(making.counts.nodes["Artist"], np.int64)
    style_of[authors[::-1]] = styles[::-1]  # that of the artist's first artwork
    facts = class_facts("Style").values()
    begin = np.array([entry.get("from_year") or _FIRST_YEAR for entry in facts])
    end = np.array([entry.get("to_year") or _LAST_YEAR for entry in facts])
    return (begin + rng.random(len(style_of))[:, None] * (end - begin))[np.arange(len(style_of)), style_of].astype(int)


def _artwork_nodes(making: _Making, label: str) -> pa.Table:
    """Keys are image file names, artist_title-year(n).jpg."""
    rng, count, authors = making.rng(label), making.counts.nodes[label], making.targets_of(_AUTHOR)
    titles = _titles(making, rng, count)
    slugs = pa.array([slug(title) for title in titles.to_pylist()]).dictionary_encode()
    artists = making.nodes["Artist"]
    birth = artists["birth"].to_numpy()[authors]
    lived = np.nan_to_num(artists["death"].to_numpy(zero_copy_only=False)[authors], nan=_THIS_YEAR)
    years = np.clip(birth + rng.normal(42, 12, count), birth + 18, np.minimum(lived, _THIS_YEAR)).astype(np.int64)
    dated = rng.random(count) >= _UNDATED
    years[~dated] = 0
    chosen = _hub_choice(rng, len(titles), count)
    title_slugs = slugs.indices.to_numpy()[chosen]
    copies = _copies((authors * (int(title_slugs.max()) + 1) + title_slugs) * (_THIS_YEAR + 1) + years)
    keys = joined(
        artists[KEY].combine_chunks().take(pa.array(authors)), "_",
        slugs.dictionary.take(pa.array(title_slugs)), _suffixes(years, "-{}"), _suffixes(copies, "({})"), ".jpg",
    )  # fmt: skip
    return pa.table({KEY: keys, "title": titles.take(pa.array(chosen)), "year": pa.array(years, mask=~dated)})


def _titles(making: _Making, rng: np.random.Generator, count: int) -> pa.StringArray:
    """Distinct titles, as many of each form, short ones first."""
    forms, lists = patterns("titles"), _lists(making)
    wanted = max(count // _ARTWORKS_A_TITLE // len(forms), 20)
    made = [invent([form], lists, min(wanted, capacity(form, lists)), rng, upper=True) for form in forms]
    return pc.unique(pa.concat_arrays([pa.array(["Untitled", "Self-Portrait"]), *made]))


def _hub_choice(rng: np.random.Generator, options: int, count: int) -> np.ndarray:
    """`count` times one of `options`, the first ones more often. Shapes: (count,) int64."""
    return rng.permutation(np.repeat(np.arange(options), hub_degrees(count, options, head=30, cap=count)))


def _copies(codes: np.ndarray) -> np.ndarray:
    """How many equal codes stand before each. Shapes: (n,) int64 to (n,) int64."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    begins = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    copies = np.empty(len(codes), np.int64)
    copies[order] = np.arange(len(codes)) - np.repeat(begins, np.diff(np.r_[begins, len(codes)]))
    return copies


def _suffixes(numbers: np.ndarray, form: str) -> pa.StringArray:
    """The numbers written by `form`, nothing for 0."""
    texts = pa.array(["", *(form.format(n) for n in range(1, int(numbers.max()) + 1))])
    return texts.take(pa.array(numbers))


def _lists(making: _Making) -> dict[str, pa.StringArray]:
    cities = making.nodes.get("City")
    return {**words(), **({"City": cities[KEY].combine_chunks()} if cities is not None else {})}


_NODES = {"Style": _class_nodes, "Genre": _class_nodes, "Artist": _artist_nodes, "Artwork": _artwork_nodes}
