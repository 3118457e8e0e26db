"""Does the GraphCLIP table measure what its rows are called, and does it go on where it was stopped?"""

import json

import numpy as np
import pytest

from kg.errors import RecipeConfigError
from kg.progress import SilentReporter
from kg.settings import load_settings
from tests.support.memory_snapshot import craft_snapshot
from training.changed_graph import without
from training.comparison import unseen
from training.comparison.answers import difference, figures, judge
from training.comparison.measuring import Bench
from training.comparison.node2vec import node_vectors, random_walks
from training.comparison.rivals import look_up_scores
from training.comparison.unseen import ALL, Asked, linked_items, quarter
from training.comparison.variants import HEADLINE, variants_of
from training.comparison.varied import KeptFeatures, Varied
from training.evaluate_graphclip import APART, RANDOM, evaluate_graphclip
from training.labelled_images import HELD_OUT, label_images
from training.recipes.graphclip import Config

pytestmark = pytest.mark.usefixtures("one_thread")

TARGET, SHOWS = ("Saree", "MADE_IN", "Cluster"), ("Saree", "SHOWS", "Motif")
PHRASES = {relation: f"{relation} {{text}}" for relation in ("BODY_COLOUR", "BORDER_COLOUR", "BODY_MOTIF")}


@pytest.fixture
def small():
    return Config(phrases=PHRASES, hidden=16, epochs=1, batch_size=64, readings="graph", image_projection="none")


@pytest.fixture(scope="module")
def craft():
    return craft_snapshot(per_class=20)


class Listening(SilentReporter):
    def __init__(self):
        self.lines = []

    def note(self, message):
        self.lines.append(message)


def asked_of(snapshot, held_out):
    return Asked(label_images(snapshot, None), np.array(held_out))


@pytest.mark.parametrize("k", [0, 1, 5, ALL])
def test_exactly_k_items_of_each_unseen_class_are_linked_and_all_of_them_from_train(craft, k):
    snapshot, held_out = craft[0], [1, 4]
    asked = asked_of(snapshot, held_out)
    whole = asked.whole
    links = linked_items(asked, k, rng_seed=3)
    graph = unseen._with_links(snapshot, asked, links)
    items, classes = graph.edges(TARGET)
    train = set(whole.item_row[whole.of("train")].tolist())
    assert set(items.tolist()) <= train, "nothing outside train is ever linked"
    for row in range(6):
        mine = train & set(whole.item_row[whole.class_row == row].tolist())
        there = set(items[classes == row].tolist())
        assert len(there) == (len(mine) if k == ALL or row not in held_out else k) and there <= mine
    unlinked = set(whole.item_row[np.isin(whole.class_row, held_out)].tolist()) - set(links.tolist())
    assert not unlinked & set(graph.edges(SHOWS)[0].tolist()), "an item that has not come has no relation at all"
    assert not set(asked.unseen()) & set(asked.seen()) and not np.isin(whole.item_row[asked.unseen()], links).any()


def test_fewer_linked_items_are_among_more(craft):
    asked = asked_of(craft[0], [2])
    one, five, every = (set(linked_items(asked, k, rng_seed=1).tolist()) for k in (1, 5, ALL))
    assert one < five < every and linked_items(asked, 1, rng_seed=1) != linked_items(asked, 1, rng_seed=2)


def test_an_item_with_an_image_outside_train_is_not_linked():
    snapshot, _ = craft_snapshot(per_class=20)
    whole = label_images(snapshot, None)
    train, test = (whole.of(split)[whole.class_row[whole.of(split)] == 0] for split in ("train", "test"))
    item_row, image_row = snapshot.item_images
    item_row = item_row.copy()
    item_row[image_row == whole.image_row[test[0]]] = whole.item_row[train[0]]
    snapshot.item_images = (item_row, image_row)
    links = linked_items(asked_of(snapshot, [0]), ALL, rng_seed=0)
    assert whole.item_row[train[0]] not in links and len(links) == len(train) - 1


def test_the_class_that_arrives_later_is_in_no_relation_of_the_training_graph(craft, small):
    snapshot, features = craft
    bench = Bench(snapshot, load_settings(home="/nowhere"), small, features=features)
    held_out = unseen._HoldOut(bench, small, unseen.LATER, ["cluster 3"])
    recipe = held_out._recipe(["cluster 3"])
    for edge_type in snapshot.edge_types:
        for label, rows in zip((edge_type[0], edge_type[2]), recipe.snapshot.edges(edge_type), strict=True):
            assert label != "Cluster" or 3 not in rows
    assert 3 not in recipe.examples.class_row and HELD_OUT not in recipe.examples.split
    announced = unseen._HoldOut(bench, small, unseen.ANNOUNCED, ["cluster 3"])._recipe(["cluster 3"])
    assert 3 in announced.snapshot.edges(("Cluster", "BODY_MOTIF", "Motif"))[0]
    assert not (announced.examples.class_row[announced.examples.of("train")] == 3).any()


def test_bias_is_the_best_on_what_it_is_chosen_on():
    seen = np.array([[2.0, 1.0, 0.0], [2.0, 0.0, 1.5]]), np.array([0, 0])
    hidden = np.array([[1.0, 0.0, 0.7], [1.0, 0.0, 0.8]]), np.array([2, 2])
    bias = unseen._best_bias({"seen": seen, "unseen": hidden}, np.array([2]))
    assert 0.3 < bias <= 0.5
    assert unseen._best_bias({"seen": seen, "unseen": (hidden[0] + [0, 0, 1], hidden[1])}, np.array([2])) == 0.0


def test_own_edges_are_dropped_for_a_step_and_come_back(craft, small):
    snapshot, features = craft
    recipe = Varied(small.model_copy(update={"hide_items": 0.0}), drop_own_edges=True)
    recipe.build(snapshot, KeptFeatures(features))
    rows = recipe.examples.of("train")
    mine = rows[recipe.examples.class_row[rows] == 2]
    whole = recipe.inputs
    without_them = recipe._inputs_without(recipe.examples.image_row[mine])
    assert whole.linked[2] == 1 and without_them.linked[2] == 0
    others = [0, 1, 3, 4, 5]
    assert (without_them.item_mean[others] == whole.item_mean[others]).all()
    batch = next(iter(recipe.train_batches(0, _generator(), 0)))
    recipe.training_step(batch)
    assert recipe.inputs is whole


def test_an_unchanged_graph_gives_the_recipe_itself(craft, small):
    """A change that changes nothing must not move a vector; one that drops the relations must."""
    snapshot, features = craft
    vectors = {}
    for name, change in (("none", None), ("same", lambda graph, *_: graph), ("gone", _gone)):
        recipe = Varied(small, change=change)
        _generator()
        recipe.build(snapshot, features)
        vectors[name] = recipe.attribute_vectors()
    assert (vectors["none"] == vectors["same"]).all() and not (vectors["none"] == vectors["gone"]).all()


def test_variants_follow_from_graph_and_preset(craft, small):
    names = [variant.name for variant in variants_of(small, craft[0])]
    assert len(set(names)) == len(names)
    assert {name for name in names if name.startswith("without ")} == {
        f"without {'-'.join(edge_type)}" for edge_type in craft[0].edge_types
    }
    plain = [v.name for v in variants_of(small.model_copy(update={"readings": "none", "phrases": {}}), craft[0])]
    assert set(names) - set(plain) == {
        "attribute matching", "attribute matching by readings", "linear probe on readings", "readings off",
    }  # fmt: skip


def test_look_up_is_the_majority_of_what_is_known(craft):
    snapshot = craft[0]
    examples = label_images(snapshot, None)
    scores = look_up_scores(snapshot, examples)
    item, motif = (np.asarray(rows) for rows in snapshot.edges(SHOWS))
    train = examples.item_row[examples.of("train")]
    asked = examples.item_row[examples.of("test")][0]
    same = item[(motif == motif[item == asked][0]) & np.isin(item, train)]
    classes = np.bincount(examples.class_row[same], minlength=6)
    assert classes[scores(np.array([asked])).argmax()] == classes.max()


def test_walks_follow_edges_and_neighbours_end_near_each_other(craft):
    ring = np.arange(12)
    edges = np.concatenate([[ring, (ring + 1) % 12], [(ring + 1) % 12, ring]], axis=1)
    edges = edges[:, np.lexsort(edges[::-1])]
    rng = np.random.default_rng(0)
    chance = {"return_weight": 0.01, "outward_weight": 1.0, "rng": rng}
    paths = random_walks((edges[0], edges[1]), ring, 12, length=6, **chance)
    assert np.isin((paths[:, 1:] - paths[:, :-1]) % 12, [1, 11]).all()
    assert (paths[:, 2:] != paths[:, :-2]).mean() > 0.9, "a small weight for turning back is heard"
    vectors = node_vectors(craft[0], width=16, steps=150)
    items, classes = craft[0].edges(TARGET)
    unit = {label: part / np.linalg.norm(part, axis=1, keepdims=True) for label, part in vectors.items()}
    cosines = unit["Saree"][items] @ unit["Cluster"].T
    assert (cosines.argmax(1) == classes).mean() > 0.8


def test_figures_and_differences():
    import torch

    scores = torch.tensor([[3.0, 1.0, 0.0], [0.0, 2.0, 1.0], [2.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    targets = torch.tensor([0, 1, 2, 0])
    rows = np.arange(4)
    one = judge((scores, targets), (scores, targets), images=rows, groups=rows, train=9)
    assert one.rank == [1, 1, 2, 2] and figures([one])["top1"] == 0.5 and figures([one])["top2"] == 1.0
    other = judge((scores, targets), (-scores, targets), images=rows, groups=rows, train=9)
    mean, low, high = difference({0: one, 7: one}, {0: other})
    assert mean == pytest.approx(0.5 - other.hits().mean()) and low <= mean <= high
    assert difference({0: one}, {1: other}) is None


def test_table_end_to_end(tmp_path, craft, small):
    snapshot, features = craft
    settings = load_settings(home=tmp_path)
    given = {"config": small, "features": features, "seeds": 2, "arm_seeds": 1, "hold_outs": 2, "plots": tmp_path}
    noise = evaluate_graphclip(snapshot, settings, only="NOISE", apart_by="SHOWS", **given)
    arms = list(noise.answers[RANDOM])
    assert [arm.name for arm in arms][:2] == [HEADLINE, "10% of edges dropped"] and len(arms) == 9
    assert len(noise.top1(HEADLINE)) == 2 and len(noise.top1("30% of edges rewired")) == 1
    assert (tmp_path / "graphclip-toy-cluster.png").stat().st_size < 100_000
    folds = noise.answers[APART]
    tested = [row for answers in next(iter(folds.values())).values() for row in answers.images]
    assert [arm.name for arm in folds] == [HEADLINE] and sorted(tested) == list(range(120)), "each image once"
    heard = Listening()
    again = evaluate_graphclip(snapshot, settings, only="10% of edges", reporter=heard, **given)
    assert heard.lines == ["graphclip table, random: 4 arms, 4 finished, nothing to do"]
    assert again.top1("10% of edges rewired") == noise.top1("10% of edges rewired")
    assert "published, other data, not comparable" in "\n".join(again.lines())
    assert not list(tmp_path.glob("**/*.pt")), "hundreds of arms leave no weights behind"


def test_unseen_table(tmp_path, craft, small):
    snapshot, features = craft
    given = {"config": small, "features": features, "only": "unseen", "hold_outs": 2}
    table = evaluate_graphclip(snapshot, load_settings(home=tmp_path), **given)
    found = table.unseen
    assert not table.answers and [len(names) for names in found.hold_outs] == [quarter(6)] * 2
    for arrival in unseen.ARRIVALS:
        for k in ("0", "1", "5", "all"):
            assert len(found.mean("GraphCLIP", arrival, k, "harmonic")) == 2
            assert len(found.mean("GraphCLIP", arrival, k, "unseen", way="bias")) == 2
    assert found.mean("class means", unseen.ANNOUNCED, "0", "unseen") == [], "without an image there is no mean"
    kept = [json.loads(path.read_text()) for path in tmp_path.glob("**/found.json")]
    assert len(kept) == 2 * 7
    lines = table.lines()
    assert sum(line.startswith("- announced, hold-out") for line in lines) == 2
    assert [line for line in lines if "GraphCLIP less 0 layers, later" in line] and "less class means" not in "".join(
        lines
    )


def test_an_arm_that_nobody_has_is_refused(tmp_path, craft, small):
    with pytest.raises(RecipeConfigError, match="no arm of the table is called so"):
        evaluate_graphclip(
            craft[0], load_settings(home=tmp_path), config=small, features=craft[1], only="quantum", hold_outs=0
        )


def _gone(graph, examples, rng_seed):
    return without(graph, {t: np.ones(len(graph.edges(t)[0]), bool) for t in graph.edge_types if t[0] == "Cluster"})


def _generator():
    import torch

    torch.manual_seed(0)
    return torch.Generator().manual_seed(0)
