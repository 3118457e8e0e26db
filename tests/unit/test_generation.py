"""Invented ArtGraphs: exact counts, hubs, keys of their own, the same tables for the same seed."""

import numpy as np
import pyarrow.compute as pc
import pytest

from kg.errors import SchemaViolation
from kg.generation.artgraph import generate_artgraph
from kg.generation.counts import scaled_counts
from kg.generation.degrees import assign_one_each, distinct_pairs, hub_degrees, scattered_degrees
from kg.generation.names import invent, words
from kg.importers.art_names import class_facts, read_file_name
from kg.progress import SilentReporter
from kg.schema import load_domain

_STYLE = ("Artwork", "Style", "Style")
_AUTHOR = ("Artwork", "Author", "Artist")
_TEACHER = ("Artist", "Teacher", "Artist")


@pytest.fixture(scope="module")
def small():
    return _generated()


def _generated(scale=0.02, seed=0):
    return generate_artgraph(scale=scale, seed=seed, reporter=SilentReporter())


def test_at_scale_one_the_counts_are_the_published_ones():
    counts = scaled_counts(1.0)
    by_type = {}
    for relation in counts.relations:
        by_type[relation.type] = by_type.get(relation.type, 0) + relation.count
    assert (sum(counts.nodes.values()), sum(by_type.values())) == (135_038, 875_416)
    assert (counts.nodes["Artwork"], counts.nodes["Tag"], counts.nodes["Style"]) == (116_475, 5_424, 32)
    assert (by_type["About"], by_type["Country"], by_type["CompletedIn"]) == (342_984, 1_713, 39_020)
    assert [sum(classes.values()) for classes in counts.classes.values()] == [116_475, 116_475]


def test_the_published_counts_name_the_labels_relations_and_classes_of_the_domain():
    counts, domain = scaled_counts(1.0), load_domain("artgraph")
    assert set(counts.nodes) == set(domain.node_types)
    assert tuple(relation.edge_type for relation in counts.relations) == domain.edge_types
    for label, classes in counts.classes.items():
        assert list(classes) == list(class_facts(label))
        assert len(classes) == counts.nodes[label]


def test_classes_stay_and_countries_do_not_multiply():
    small, large = scaled_counts(0.01), scaled_counts(10)
    assert {small.nodes["Style"], large.nodes["Style"]} == {32}
    assert (small.nodes["Country"], large.nodes["Country"]) == (10, 58)
    assert (small.nodes["Artwork"], large.nodes["Artwork"]) == (1_165, 1_164_750)


@pytest.mark.parametrize("scale", [0, 0.001, 11, float("nan")])
def test_a_scale_out_of_range_is_refused(scale):
    with pytest.raises(SchemaViolation, match=r"not within 0\.01 to 10"):
        scaled_counts(scale)


def test_the_tables_hold_together_and_have_the_counts_that_were_asked_for(small):
    wanted = scaled_counts(0.02)
    assert small.check() == []
    assert {label: table.num_rows for label, table in small.nodes.items()} == wanted.nodes
    assert {e: table.num_rows for e, table in small.edges.items()} == {r.edge_type: r.count for r in wanted.relations}


def test_no_pair_is_related_twice_and_nobody_teaches_themselves(small):
    for edge_type, table in small.edges.items():
        assert table.group_by(["source", "target"]).aggregate([]).num_rows == table.num_rows, edge_type
    pairs = {tuple(row.values()) for row in small.edges[_TEACHER].to_pylist()}
    assert not any(source == target or (target, source) in pairs for source, target in pairs)


def test_every_artwork_has_one_style_genre_and_author(small):
    artworks = small.nodes["Artwork"]["key"]
    for kind, target in (("Style", "Style"), ("Genre", "Genre"), ("Author", "Artist")):
        assert small.edges["Artwork", kind, target]["source"].equals(artworks)


def test_keys_are_file_names_that_say_artist_and_year(small):
    authors = dict(zip(*small.edges[_AUTHOR].to_pydict().values(), strict=True))
    for row in small.nodes["Artwork"].slice(0, 200).to_pylist():
        name = read_file_name(row["key"])
        assert (name.artist, name.year) == (authors[row["key"]], row["year"])


def test_an_artist_keeps_to_a_style_and_lives_before_the_works(small):
    styles = small.edges[_STYLE].append_column("author", small.edges[_AUTHOR]["target"])
    shares = styles.group_by(["author", "target"]).aggregate([("source", "count")])
    largest = shares.group_by("author").aggregate([("source_count", "max")])
    assert pc.sum(largest["source_count_max"]).as_py() > 0.6 * styles.num_rows
    born = dict(zip(small.nodes["Artist"]["key"].to_pylist(), small.nodes["Artist"]["birth"].to_pylist(), strict=True))
    authors = small.edges[_AUTHOR]["target"].to_pylist()
    years = small.nodes["Artwork"]["year"].to_pylist()
    assert all(year is None or year >= born[author] + 18 for year, author in zip(years, authors, strict=True))


def test_the_same_seed_makes_the_same_tables(small):
    assert _generated().fingerprint() == small.fingerprint()
    assert _generated(seed=1).fingerprint() != small.fingerprint()


def test_hub_degrees_add_up_fall_and_keep_to_the_cap():
    degrees = hub_degrees(10_000, 500, head=2, cap=400)
    assert degrees.sum() == 10_000
    assert degrees.max() == 400
    assert degrees.min() >= 1
    assert degrees[0] > 10 * np.median(degrees)
    assert hub_degrees(3, 10, head=1, cap=5).sum() == 3


def test_pairs_keep_both_degree_sequences_even_when_they_are_dense():
    rng = np.random.default_rng(0)
    out, into = scattered_degrees(rng, 300, 30, cap=20), hub_degrees(300, 30, head=1, cap=25)
    sources, targets = distinct_pairs(rng, out, into)
    assert len(set(zip(sources.tolist(), targets.tolist(), strict=True))) == 300
    assert np.bincount(sources, minlength=30).tolist() == out.tolist()
    assert np.bincount(targets, minlength=30).sum() == 300


def test_groups_share_their_target_but_for_the_strays():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 40, 4_000)
    targets = assign_one_each(rng, np.full(8, 500), groups=groups, strays=0.1)
    shares = [np.bincount(targets[groups == group]).max() / (groups == group).sum() for group in range(40)]
    assert np.bincount(targets).tolist() == [500] * 8
    assert 0.75 < np.mean(shares) < 1


def test_names_are_distinct_even_beyond_what_the_words_give():
    names = invent(["{colour} period"], words(), 50, np.random.default_rng(0)).to_pylist()
    assert len(set(names)) == len(names) == 50
    assert "period 2" in names[20]
    twice = invent(["{thing} and {thing2}"], words(), 500, np.random.default_rng(0)).to_pylist()
    assert not any(name.split(" and ")[0] == name.split(" and ")[1] for name in twice)
