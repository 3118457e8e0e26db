"""Why does this image have, or not have, that class: map, evidence and sentence from one published model or run?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from kg.classify import classify_stored
from kg.errors import NodeNotFound, StoreError
from kg.explanations import Evidence, Explanation
from kg.graph import Graph
from kg.progress import Reporter, SilentReporter
from kg.publishing.activation import active_set
from kg.schema import Domain, EdgeType, load_domain
from kg.settings import Settings
from kg.snapshots.snapshot import find_snapshot, pull
from kg.store import Store
from training import run as runs
from training.explain.contributions import Decomposition, decompose
from training.explain.edge_mask import Decision, MaskOptions, learn_mask
from training.explain.heat_map import ImageModel, heat_maps
from training.explain.neighbourhood import Neighbourhood
from training.explain.pictures import seen_box
from training.explain.wording import Finding, sentence, wordings
from training.labelled_images import leaking_edges
from training.refreshing import image_side

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "Explainer",
    "Likeness",
    "Reasons",
    "as_explanation",
    "difference_from_graph",
    "explainer_of_run",
    "open_published",
]

_LIKE_ITEMS = 4


@dataclass(frozen=True)
class Likeness:
    """One linked item and what its image brings to the score."""

    key: str
    weight: float


@dataclass(frozen=True)
class Reasons:
    """Everything found about one image and one class."""

    class_key: str
    probability: float
    score: float
    """Cosine of image and class."""
    ranking: tuple[tuple[str, float], ...]
    """Every class with its probability, likeliest first."""
    findings: tuple[Finding, ...]
    """Strongest for the class first, strongest against it last."""
    rest: float
    """What of the score no neighbour brings: the class's own text, and directions that all classes share."""
    like: tuple[Likeness, ...]
    """Linked items whose images bring most."""
    rival: str | None
    rival_findings: tuple[Finding, ...]
    heat: np.ndarray
    """0..1, as the encoder saw the picture, (px, px)."""
    box: tuple[float, float, float, float]
    """Which part of the picture that is: left, top, right, bottom as shares of its sides."""
    sentence: str


@dataclass(frozen=True)
class _Around:
    neighbourhood: Neighbourhood
    parts: Decomposition | None
    says: list[str]


@dataclass
class Explainer:
    """A trained recipe on one graph, ready to explain images.

    Shapes: class_vectors (classes, width), mean_image (width,), the mean vector of the graph's images.
    """

    recipe: Any
    snapshot: Any
    version: str
    embedding_set: str
    class_vectors: Tensor
    mean_image: Tensor
    drop: Mapping[EdgeType, np.ndarray] = field(default_factory=dict)
    """Edges that the class vectors were computed without."""
    mask_options: MaskOptions | None = field(default_factory=MaskOptions)
    """None: no mask is learnt, contributions alone are told."""

    def __post_init__(self) -> None:
        self.class_keys = self.recipe.class_keys(self.snapshot)
        self.sharpness = self.recipe.scale() / self.recipe.temperature
        recipe = self.recipe
        self.model = ImageModel(image_side(recipe).image_encoder(), recipe.image_matrix(), readings=recipe.readings())
        self._around: dict[str, _Around] = {}

    def explain(self, picture: Image.Image, class_key: str | None = None, *, item: str | None = None) -> Reasons:
        """Why the picture has that class; its likeliest one where none is named. `item` is not told to be like itself.

        Raises: NodeNotFound for a class that the model does not know, RecipeConfigError, EncoderError.
        """
        batch = self.model.encoder.preprocess(picture)[None]
        with torch.no_grad():
            image = self.model(batch)[0]
        probabilities = (self.sharpness * self.class_vectors @ image).softmax(0)
        ranking = tuple((self.class_keys[i], float(probabilities[i])) for i in probabilities.argsort(descending=True))
        row = self.row(class_key or ranking[0][0])
        findings, rest = self.findings(image, row)
        rival = next((key for key, _ in ranking if key != self.class_keys[row]), None)
        rival_findings = self.findings(image, self.row(rival), learn=False)[0] if rival else ()
        return Reasons(
            class_key=self.class_keys[row],
            probability=float(probabilities[row]),
            score=float(self.class_vectors[row] @ image),
            ranking=ranking,
            findings=findings,
            rest=rest,
            like=self._like(image, row, item),
            rival=rival,
            rival_findings=rival_findings,
            heat=heat_maps(self.model, batch, [self.class_vectors[row]])[0],
            box=seen_box(self.model.encoder, picture.size),
            sentence=sentence(
                self.class_keys[row],
                float(probabilities[row]),
                findings,
                best=ranking[0],
                rival=next(((key, p) for key, p in ranking if key == rival), None),
                against_rival=rival_findings,
            ),
        )

    def row(self, class_key: str) -> int:
        """Row of a class. Raises: NodeNotFound."""
        if class_key not in self.class_keys:
            raise NodeNotFound(
                f"explaining {class_key!r}: version {self.version} knows no such class; "
                f"it knows {', '.join(self.class_keys[:40])}"
            )
        return self.class_keys.index(class_key)

    def around(self, row: int) -> _Around:
        """What surrounds a class, gathered once."""
        key = self.class_keys[row]
        if key not in self._around:
            neighbourhood = Neighbourhood(self.recipe, self.snapshot, key, drop=self.drop)
            self._around[key] = _Around(neighbourhood, decompose(neighbourhood), wordings(neighbourhood))
        return self._around[key]

    def decision(self, image: Tensor, row: int) -> Decision:
        """An image between the classes. Shapes: image (width,)."""
        return Decision(image, self.class_vectors, row, self.sharpness)

    def findings(self, image: Tensor, row: int, *, learn: bool = True) -> tuple[tuple[Finding, ...], float]:
        """What each neighbour of a class brings to the image's score beyond what it brings to the mean image's.

        Strongest first; then what no neighbour brings. Without a closed form the learnt mask stands for it.
        Shapes: image (width,).
        """
        around = self.around(row)
        mask = None
        if (learn and self.mask_options) or around.parts is None:
            mask = learn_mask(around.neighbourhood, self.decision(image, row), self.mask_options)
        beyond = image - self.mean_image
        weights = mask if around.parts is None else around.parts.units @ beyond
        found = [
            Finding(
                unit,
                says,
                float(weights[n]),
                None if mask is None else float(mask[n]),
                visible=unit.is_items or unit.edge_type in around.neighbourhood.phrases,
            )
            for n, (unit, says) in enumerate(zip(around.neighbourhood.units, around.says, strict=True))
        ]
        rest = 0.0 if around.parts is None else float(around.parts.rest @ beyond)
        return tuple(sorted(found, key=lambda f: (-f.weight, f.unit.edge_type, f.unit.keys))), rest

    def _like(self, image: Tensor, row: int, item: str | None) -> tuple[Likeness, ...]:
        around = self.around(row)
        if around.parts is None or not len(around.parts.items):
            return ()
        keys = [key for unit in around.neighbourhood.units if unit.is_items for key in unit.keys]
        weights = (around.parts.items @ (image - self.mean_image)).tolist()
        ranked = sorted(((w, k) for w, k in zip(weights, keys, strict=True) if k != item), reverse=True)
        return tuple(Likeness(key, weight) for weight, key in ranked[:_LIKE_ITEMS])


def open_published(
    graph: Graph, settings: Settings, domain: Domain | str, task: str | None = None, *, reporter: Reporter | None = None
) -> Explainer:
    """The active set of a task, on the snapshot that it was computed from, or on the graph as it is where that is gone.

    Raises: NodeNotFound (nothing is published), StoreError, CheckpointMismatch.
    """
    reporter, store = reporter or SilentReporter(), Store(settings.store_dir)
    domain = load_domain(domain) if isinstance(domain, str) else domain
    active = active_set(graph, domain, task)
    try:
        snapshot = find_snapshot(store, active.snapshot)
    except StoreError:
        reporter.warn(f"snapshot {active.snapshot[:12]} of set {active.set} is gone; the graph as it is stands for it")
        snapshot = pull(graph, domain, store, reporter=reporter, task=domain.task(task)[0])
    recipe = runs.open_model(store, active.version, snapshot, reporter)
    explainer = Explainer(
        recipe, snapshot, active.version, active.set, recipe.encode_classes(snapshot), _mean_image(recipe, snapshot)
    )
    explainer.sharpness = active.scale / active.temperature
    return explainer


def explainer_of_run(run: Any, *, masked: bool = True) -> Explainer:
    """A finished run; `masked`: on the graph without the labels outside train, as its metrics are measured."""
    recipe, snapshot = run.recipe, run.recipe.snapshot
    vectors = recipe.masked_class_vectors() if masked else recipe.encode_classes(snapshot)
    drop = leaking_edges(snapshot, recipe.examples) if masked else {}
    return Explainer(recipe, snapshot, run.folder.name, run.folder.name, vectors, _mean_image(recipe, snapshot), drop)


def difference_from_graph(reasons: Reasons, graph: Graph, *, domain: Domain, task: str | None, image: str) -> float:
    """Largest difference between the probabilities that were explained and those that the graph gives."""
    said = {score.class_key: score.probability for score in classify_stored(graph, domain, task, image, 1000)}
    return max((abs(said.get(key, 0.0) - p) for key, p in reasons.ranking), default=0.0)


def as_explanation(explainer: Explainer, reasons: Reasons, image: str, *, heat_map_uri: str | None) -> Explanation:
    """What is kept in the graph: every finding; of items the few whose images bring most."""
    return Explanation(
        image=image,
        class_key=reasons.class_key,
        score=reasons.score,
        probability=reasons.probability,
        version=explainer.version,
        set=explainer.embedding_set,
        sentence=reasons.sentence,
        heat_map_uri=heat_map_uri,
        evidence=tuple(_evidence(reasons)),
    )


def _evidence(reasons: Reasons) -> list[Evidence]:
    rows = [
        (f.unit.label, f.unit.keys[0], f.unit.relation, f.weight, f.says, f.mask)
        for f in reasons.findings
        if len(f.unit.keys) == 1
    ]
    grouped = {f.unit.relation: f for f in reasons.findings if len(f.unit.keys) > 1}
    for relation, finding in grouped.items():
        rows += [
            (finding.unit.label, item.key, relation, item.weight, finding.says, finding.mask) for item in reasons.like
        ]
    rows.sort(key=lambda row: (-abs(row[3]), row[:3]))
    return [
        Evidence(label, key, relation, weight, rank, says, mask)
        for rank, (label, key, relation, weight, says, mask) in enumerate(rows, start=1)
    ]


def _mean_image(recipe: Any, snapshot: Any) -> Tensor:
    feat, readable = image_side(recipe).images(snapshot)
    if not np.any(readable):
        return torch.zeros(recipe.encode_images(np.zeros((1, recipe.encoders.image_width()), np.float32)).shape[1])
    return recipe.encode_images(np.asarray(feat)[np.asarray(readable)]).mean(0)
