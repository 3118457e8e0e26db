"""Does the database say the same ways down as the model that was published?"""

from __future__ import annotations

from typing import Any

import numpy as np

from kg.graph import Graph
from kg.statements import statement_for
from training.metrics.hierarchy import top_down

__all__ = ["largest_gap"]


def largest_gap(graph: Graph, recipe: Any, *, images: int = 20) -> float:
    """The largest difference between a way's probability by `images/classify_down` and by the model, over all facets
    and ways of some images, evenly spread over the snapshot; the recipe's set must be the active one.
    """
    snapshot, task = recipe.snapshot, recipe.tasks[0]
    feat, readable = recipe.take(snapshot)
    rows = np.flatnonzero(readable)[:: max(1, len(readable) // images)][:images]
    nodes, vectors = recipe.encode_levels(snapshot)
    logits = (recipe.scale() * recipe.encode_images(feat[rows]) @ vectors.T / recipe.temperature).numpy().astype(float)
    keys, gap = recipe.class_keys(snapshot), 0.0
    for tree, parts in zip(nodes.trees, nodes.slices, strict=True):
        expected = top_down(tree, [logits[:, part] for part in parts])
        statement = statement_for(graph, "images/classify_down", snapshot.domain, task)
        for row, own in zip(rows, expected, strict=True):
            known = {"domain": snapshot.domain.domain, "task": task, "facet": tree.facet, "k": len(keys)}
            ways = graph.run(statement, image_id=snapshot.images.sha256[row], **known)
            said = {way["class"]: way["probability"] for way in ways}
            gap = max(gap, *(abs(said.get(key, np.inf) - value) for key, value in zip(keys, own, strict=True)))
    return float(gap)
