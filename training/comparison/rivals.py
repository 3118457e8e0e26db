"""How far do methods get that are not GraphCLIP: a trained head, node2vec, a look-up in the graph?

Each returns a function from image features (or item rows) to scores; higher is likelier, and a class that a method
knows nothing of has none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from training.baselines import unit
from training.comparison.node2vec import node_vectors
from training.labelled_images import LabelledImages

__all__ = ["Score", "head_scores", "look_up_scores", "node2vec_scores"]

Score = Callable[[np.ndarray], np.ndarray]
_HEAD_DECAY = (1e-3, 1e-1, 1.0, 10.0)
_HEAD_WIDTH = 256
_RIDGE = (1.0, 10.0, 100.0, 1000.0)
_COSINE_SCALE = 20.0
_PRIOR_WEIGHT = 0.5


def head_scores(
    train: tuple[np.ndarray, np.ndarray], valid: tuple[np.ndarray, np.ndarray], *, n_classes: int, rng_seed: int
) -> Score:
    """A head with one hidden layer (scikit-learn's MLP) on frozen features, as log-probabilities.

    Weight decay is the best on valid.
    Shapes: train and valid (features (n, d), class rows (n,)); the function (m, d) -> (m, n_classes).
    """
    heads = [_head(decay, rng_seed).fit(*train) for decay in _HEAD_DECAY]
    best = max(heads, key=lambda head: head.score(*valid))

    def scores(feat: np.ndarray) -> np.ndarray:
        found = np.full((len(feat), n_classes), -np.inf)
        found[:, best[-1].classes_] = best.predict_log_proba(feat)
        return found

    return scores


def node2vec_scores(
    graph: Any, examples: LabelledImages, feat: np.ndarray, *, rng_seed: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Features mapped by ridge regression onto the items' node2vec vectors; cosines with the classes' vectors.

    `graph` must hold no label outside train. Shapes: feat (examples, d); the function (m, d) -> (m, classes).
    """
    vectors = node_vectors(graph, rng_seed=rng_seed)
    items, classes = unit(vectors[examples.item_label]), unit(vectors[examples.class_label])
    train, valid = examples.of("train"), examples.of("valid")
    maps = [_map(strength).fit(feat[train], items[examples.item_row[train]]) for strength in _RIDGE]

    def scored(model: Any, asked: np.ndarray) -> np.ndarray:
        return _COSINE_SCALE * unit(model.predict(asked)) @ classes.T

    best = max(maps, key=lambda one: (scored(one, feat[valid]).argmax(1) == examples.class_row[valid]).mean())
    return lambda asked: scored(best, asked)


def look_up_scores(snapshot: Any, examples: LabelledImages) -> Callable[[np.ndarray], np.ndarray]:
    """The majority class of what an item is related to: log of the mean class share of training items that share a
    neighbour, over all relations from items but those to classes, counted alike; an item without any gets the
    commonest class.

    The function takes item rows. Shapes: (m,) -> (m, classes).
    """
    count, n_classes = snapshot.count(examples.item_label), len(examples.class_keys)
    train = np.unique(np.stack([examples.item_row, examples.class_row])[:, examples.of("train")], axis=1)
    own = np.zeros((count, n_classes))
    own[train[0], train[1]] = 1
    prior = own.sum(0) / own.sum()
    total, relations = np.zeros((count, n_classes)), np.zeros((count, 1))
    for edge_type in snapshot.edge_types:
        if edge_type[0] != examples.item_label or examples.class_label == edge_type[2]:
            continue
        source, target = (np.asarray(rows, np.int64) for rows in snapshot.edges(edge_type))
        seen = np.zeros((snapshot.count(edge_type[2]), n_classes))
        np.add.at(seen, target, own[source])
        share = (seen + _PRIOR_WEIGHT * prior) / (seen.sum(1, keepdims=True) + _PRIOR_WEIGHT)
        np.add.at(total, source, share[target])
        np.add.at(relations, source, 1)
    shares = np.where(relations > 0, total / np.maximum(relations, 1), prior)
    return lambda items: np.log(np.maximum(shares[items], 1e-9))


def _head(decay: float, rng_seed: int) -> Any:
    layer = MLPClassifier(
        (_HEAD_WIDTH,), alpha=decay, batch_size=64, max_iter=40, n_iter_no_change=40, random_state=rng_seed
    )
    return make_pipeline(StandardScaler(), layer)


def _map(strength: float) -> Any:
    return make_pipeline(StandardScaler(), Ridge(strength))
