"""How do recipes without classes end: what is measured of them, and how are they published for searches by text?

What is published is the image-text model with what reads the triples of texts, so that a searched text gets the vector
that it has in the recipe.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from kg.encoders.tower import ImageTower, is_whole
from kg.graph import Graph
from kg.progress import Reporter
from kg.publishing.publication import Publication
from kg.publishing.publish import publish
from kg.schema import TEXT_TASK
from kg.store import Store
from training.engine import FitResult, evaluate
from training.run_folder import RunFolder
from training.structure.recipe import CaptionRecipe

__all__ = ["learns_from_captions", "measure_texts", "publish_texts", "text_summary"]


def learns_from_captions(recipe: Any) -> bool:
    """Whether a recipe, or its class, has texts in the place of classes."""
    return issubclass(recipe if isinstance(recipe, type) else type(recipe), CaptionRecipe)


def measure_texts(recipe: CaptionRecipe, fitted: FitResult, *, seconds: float) -> dict[str, Any]:
    """Every split's figures, as training/run.py keeps them."""
    run = {key: value for key, value in asdict(fitted).items() if key not in ("history", "best_metrics")}
    return {
        "splits": {split: evaluate(recipe, split) for split in recipe.splits()},
        "calibration": {"temperature": recipe.temperature},
        "scale": float(recipe.net.scale().detach()),
        "classes": {},
        "run": {**run, "seconds": seconds, "torch": torch.__version__},
    }


def publish_texts(
    graph: Graph, store: Store, recipe: CaptionRecipe, folder: RunFolder, *, reporter: Reporter, activate: bool = True
) -> str:
    """Image vectors into the graph, the towers into the store: the set's id.

    Raises: what `kg.publishing.publish.publish` raises.
    """
    recipe.module().eval()
    tower_dir = folder.path / "tower"
    if not is_whole(tower_dir):
        ImageTower(recipe.trained_encoder(), knowledge=recipe.knowledge()).save(tower_dir)
    readable = np.flatnonzero(recipe.data.readable)
    vectors = recipe.encode_images(recipe.data.tokens[readable]).numpy()
    metrics = folder.metrics()
    publication = Publication(
        domain=recipe.snapshot.domain,
        task=TEXT_TASK,
        recipe=folder.snapshot()["recipe"],
        run_dir=folder.path,
        snapshot_hash=recipe.snapshot.content_hash,
        config=json.loads(recipe.config.model_dump_json()),
        metrics={f"{split}_{name}": v for split, part in metrics["splits"].items() for name, v in part.items()},
        dim=vectors.shape[1],
        scale=metrics["scale"],
        image_ids=[recipe.snapshot.images.sha256[row] for row in readable],
        image_vectors=vectors,
        tower_dir=tower_dir,
        model_dir=folder.path / "model",
    )
    return publish(graph, store, publication, reporter=reporter, activate=activate)


def text_summary(folder: RunFolder, metrics: dict[str, Any]) -> str:
    """One line about a finished run."""
    tested = metrics["splits"].get("test") or next(iter(metrics["splits"].values()))
    return (
        f"run {folder.name}: the true sentence preferred to a false one {tested['preferred']:.3f}, images found by "
        f"their caption {tested['found_top1']:.3f} on new images"
    )
