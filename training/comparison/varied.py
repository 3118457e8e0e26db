"""How does GraphCLIP learn when the graph behind its classes is another one, and images and labels stay?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from training.changed_graph import without
from training.class_inputs import Gatherer
from training.features import Features
from training.labelled_images import LabelledImages, leaking_edges
from training.models.class_encoder import ClassInputs
from training.recipes.graphclip import Config, GraphClip
from training.registry import Batch

__all__ = ["Change", "KeptFeatures", "Varied"]

Change = Callable[[Any, LabelledImages, int], Any]
"""The graph without leaking labels, the examples, a seed -> the graph that classes are computed from."""


class Varied(GraphClip):
    """The recipe with a change of its graph, in training and in the test alike."""

    def __init__(self, config: Config, *, change: Change | None = None, drop_own_edges: bool = False) -> None:
        """`drop_own_edges`: the items of a batch lose their classes for that step, and no others do."""
        super().__init__(config)
        self._change, self._drop_own_edges = change, drop_own_edges

    def create(self, snapshot: Any, encoders: Any) -> None:
        """The same network; inputs are gathered of the changed graph."""
        super().create(snapshot, encoders)
        if self._change is not None:
            self.gatherer = _ChangedGatherer(**vars(self.gatherer), changed=self._changed)

    def build(self, snapshot: Any, encoders: Any) -> None:
        """As the recipe; keeps which item an image is of."""
        super().build(snapshot, encoders)
        self._leaking = leaking_edges(snapshot, self.examples)
        self._item_of_image = np.full(len(snapshot.images.sha256), -1)
        self._item_of_image[self.examples.image_row] = self.examples.item_row

    def training_step(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, float]]:
        """As the recipe, on the graph without the batch's own target edges where that is asked for."""
        if not self._drop_own_edges:
            return super().training_step(batch)
        whole, self.inputs = self.inputs, self._inputs_without(batch["image_row"].numpy())
        try:
            return super().training_step(batch)
        finally:
            self.inputs = whole

    def _changed(self, graph: Any) -> Any:
        return self._change(graph, self.examples, self.config.rng_seed)

    def _inputs_without(self, image_rows: np.ndarray) -> ClassInputs:
        items = np.asarray(self.snapshot.edges(self.item_edge)[0])
        mask = np.isin(items, self._item_of_image[image_rows]) | self._leaking.get(self.item_edge, False)
        return self.gatherer.gather(self.snapshot, drop={**self._leaking, self.item_edge: mask})


@dataclass(frozen=True)
class _ChangedGatherer(Gatherer):
    changed: Callable[[Any], Any] = lambda graph: graph

    def gather(self, snapshot: Any, *, drop: Mapping | None = None, **rest: Any) -> ClassInputs:
        """Of the changed graph; leaking edges are gone before anything is changed."""
        return super().gather(self.changed(without(snapshot, drop or {})), **rest)


class KeptFeatures:
    """Features that are asked for once: an ablation builds the same recipe dozens of times."""

    def __init__(self, features: Features) -> None:
        self._features, self._kept = features, {}

    def images(self, snapshot: Any) -> tuple[np.ndarray, np.ndarray]:
        """Unit vectors of all images and which of them are readable."""
        return self._once(("images", snapshot.content_hash), lambda: self._features.images(snapshot))

    def texts(self, snapshot: Any, name: str) -> Mapping[str, np.ndarray]:
        """Unit vectors of all nodes' texts by one text encoder."""
        key = "texts", snapshot.content_hash, getattr(snapshot, "text_source", None), name
        return self._once(key, lambda: self._features.texts(snapshot, name))

    def phrases(self, relation: str, texts: Any) -> np.ndarray:
        """What a relation says, by the image encoder's text tower."""
        return self._once(("phrases", relation, *texts), lambda: self._features.phrases(relation, texts))

    def __getattr__(self, name: str) -> Any:
        """Widths and records are those of the features below."""
        return getattr(self._features, name)

    def _once(self, key: tuple, ask: Callable[[], Any]) -> Any:
        if key not in self._kept:
            self._kept[key] = ask()
        return self._kept[key]
