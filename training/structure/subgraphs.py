"""Which smaller true sentences does a caption hold, from coarse to fine?

What a caption tells is a graph: things with their attributes, and relations. Its sub-graphs are rendered as text:
single things with attributes ("a red body"), single relations with their ends ("a peacock on a red body"), and unions
of them of growing size. Each is true wherever the caption is.

Reference: Singh et al. 2023 (MosaiCLIP), graph decomposition; after the paper's description, wording ours.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from kg.scenes.scene import Scene, Thing
from kg.scenes.telling import NUMBERS
from kg.scenes.words import article

__all__ = ["subgraph_texts"]

_SAID = {"left of": "to the left of", "right of": "to the right of"}


def subgraph_texts(scene: Scene, rng: random.Random, *, most: int) -> list[str]:
    """At most `most` different sentences, the smallest first: single facts, then unions of two, three and so on.

    The whole graph is left out, because the caption itself says it. What a number of things is said of ("exactly two")
    is left out as well: a part of the picture would not show it.
    """
    facts = _facts(scene)
    if len(facts) < 2:
        return []
    made: dict[str, None] = {}
    rng.shuffle(facts)
    sizes = sorted(rng.choice(range(1, len(facts))) for _ in range(3 * most))
    sizes[: max(1, most // 2)] = [1] * max(1, most // 2)
    for size in sizes:
        if len(made) == most:
            break
        made.setdefault(_joined(rng.sample(facts, size)))
    return list(made)


def _facts(scene: Scene) -> list[str]:
    """Things that have attributes and relations, each as words."""
    by_id = {thing.id: thing for thing in scene.objects}
    if any(set(NUMBERS) & set(thing.attributes) for thing in scene.objects):
        return []
    said = [_phrase(thing) for thing in scene.objects if thing.attributes]
    related = [f"{_phrase(by_id[s])} {_SAID.get(p, p)} {_phrase(by_id[o])}" for s, p, o in scene.relations]
    return list(dict.fromkeys([*said, *related]))


def _phrase(thing: Thing) -> str:
    words = " ".join([*(key.rpartition("=")[2] for key in thing.attributes), thing.name])
    return f"{article(words)} {words}"


def _joined(facts: Sequence[str]) -> str:
    return facts[0] if len(facts) == 1 else f"{', '.join(facts[:-1])} and {facts[-1]}"
