"""How good is a prediction at every level of a hierarchy, is it right all the way, and how grave are its mistakes?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kg.hierarchy import Tree

__all__ = ["exact_path", "hierarchy_figures", "level_accuracy", "mistake_severity", "roll_up", "top_down"]


def level_accuracy(tree: Tree, predicted: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Share of right answers at each level. Shapes: (levels, n) of rows, (n,) of classes -> (levels,)."""
    return (predicted == tree.ancestors[:, targets]).mean(1)


def exact_path(tree: Tree, predicted: np.ndarray, targets: np.ndarray) -> float:
    """Share of examples that are right at every level. Shapes: (levels, n), (n,)."""
    return float((predicted == tree.ancestors[:, targets]).all(0).mean())


def mistake_severity(trees: Sequence[Tree], predicted: np.ndarray, targets: np.ndarray) -> float:
    """Mean height of the lowest common ancestor of what was said and what is true, over the mistakes alone; of several
    facets the kindest counts. 0 without a mistake.

    Shapes: predicted (n,), targets (n,) of classes.
    Reference: Bertinetto et al. 2020, "Making Better Mistakes", section 2 (hierarchical distance of a mistake).
    """
    wrong = predicted != targets
    if not wrong.any():
        return 0.0
    heights = np.min([tree.lca_heights()[predicted[wrong], targets[wrong]] for tree in trees], axis=0)
    return float(heights.mean())


def roll_up(tree: Tree, scores: np.ndarray) -> list[np.ndarray]:
    """Probabilities at every level from log-probabilities or logits of the classes: a parent has its children's sum.

    Shapes: (n, classes) -> levels of (n, classes of the level).
    """
    grown = np.exp(scores - scores.max(1, keepdims=True))
    shares = grown / grown.sum(1, keepdims=True)
    return [shares @ tree.members(level).T for level in range(tree.depth)]


def top_down(tree: Tree, logits: Sequence[np.ndarray]) -> np.ndarray:
    """Probability of every way down: the product over levels of a softmax among siblings; the ways sum to 1.

    Shapes: logits: levels of (n, classes of the level) -> (n, classes).
    """
    ways = np.ones((len(logits[0]), tree.count(0)))
    for level, scores in enumerate(logits):
        siblings = tree.parents(level) if level + 1 < tree.depth else np.zeros(tree.count(level), np.int64)
        same = siblings[:, None] == siblings[None]
        gaps = scores[:, None, :] - scores[:, :, None]  # of each sibling from each class
        share = 1 / np.where(same, np.exp(np.minimum(gaps, 700.0)), 0.0).sum(2)
        ways = ways * share[:, tree.ancestors[level]]
    return ways


def hierarchy_figures(trees: Sequence[Tree], predicted: Sequence[np.ndarray], targets: np.ndarray) -> dict[str, float]:
    """All figures: `fine`, then by facet and level, exact path by facet and over all, severity.

    Shapes: predicted: for each tree (levels, n) of rows; level 0 of the first is the class itself.
    """
    fine = predicted[0][0]
    figures = {"fine": float((fine == targets).mean())}
    right = np.ones(len(targets), bool)
    for tree, said in zip(trees, predicted, strict=True):
        shares = level_accuracy(tree, said, targets)
        figures |= {f"{tree.facet}.{tree.levels[n]}": float(shares[n]) for n in range(1, tree.depth)}
        figures[f"{tree.facet}.exact_path"] = exact_path(tree, said, targets)
        right &= (said == tree.ancestors[:, targets]).all(0)
    return figures | {"exact_path": float(right.mean()), "severity": mistake_severity(trees, fine, targets)}
