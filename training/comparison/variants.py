"""Which arms does the GraphCLIP table have? One line an arm; what it changes is all that it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from kg.schema import EdgeType
from training.changed_graph import TextSource, dropped, rewired, with_texts, without_items, without_relation
from training.comparison.varied import Change
from training.labelled_images import LabelledImages
from training.message_passing import reverse_of
from training.models.hetero import live_edge_types
from training.recipes.graphclip import Config

__all__ = ["GRAPH", "HEADLINE", "NOISE", "NOISY", "SHARES", "Method", "Variant", "variants_of"]

Method = Literal["graphclip", "probe", "head", "fine-tuned", "means", "attributes", "node2vec", "look-up"]
HEADLINE = "GraphCLIP"
SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)
NOISE = (0.1, 0.2, 0.3, 0.5)
METHODS, NETWORK, RELATIONS, GRAPH, TEXT, EDGES, NOISY = (
    "methods", "network and depth", "without a relation", "share of the training items in the graph",
    "text of the nodes", "target edges", "noise",
)  # fmt: skip
_SCRATCH = {"network": "gatv2", "start": "none", "phrases": {}, "readings": "none", "image_projection": "learned"}

_UNLOCKED = {
    "unlock_blocks": 1, "unlock_from_epoch": 0, "unlock_rate": 0.1, "learning_rate": 0.001, "epochs": 14, "patience": 5,
}  # fmt: skip
"""Rate and length were chosen on valid and gate of three splits of the paintings."""


@dataclass(frozen=True, eq=False)
class Variant:
    """One row of the table."""

    name: str
    part: str
    method: Method = "graphclip"
    config: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the recipe's configuration that differ from the preset."""
    change: Change | None = None
    label: str = ""
    """Names `change`, which a hash cannot be made of."""
    drop_own_edges: bool = False

    @property
    def headline(self) -> bool:
        """Whether it gets all seeds and both divisions."""
        return self.part == METHODS

    @property
    def cuts_tower(self) -> bool:
        """Whether it needs an image tower whose last block can be trained."""
        return self.method == "fine-tuned" or bool(self.config.get("unlock_blocks"))


def variants_of(config: Config, snapshot: Any) -> list[Variant]:
    """All arms that this graph and this configuration have."""
    plain = {"readings": "none"}
    phrases, reads = bool(config.phrases), config.readings != "none"
    found = [
        Variant(HEADLINE, METHODS),
        Variant("0 message-passing layers (text prototype)", METHODS, config={"layers": 0}),
        Variant("linear probe", METHODS, "probe", plain),
        *[Variant("linear probe on readings", METHODS, "probe")] * reads,
        Variant("trained head on frozen features", METHODS, "head", plain),
        Variant("fine-tuned vision head", METHODS, "fine-tuned", plain),
        Variant("GraphCLIP, the tower's last block learns too", METHODS, config=_UNLOCKED),
        Variant("class means", METHODS, "means", plain),
        *[Variant("attribute matching", METHODS, "attributes", plain)] * phrases,
        *[Variant("attribute matching by readings", METHODS, "attributes")] * (phrases and reads),
        Variant("node2vec projection", METHODS, "node2vec", plain),
        Variant("encoder + GAT from scratch", METHODS, config=_SCRATCH),
        Variant("graph-only look-up", METHODS, "look-up", plain),
        Variant("SAGE, projected messages", NETWORK, config={"network": "sage-project"}),
        Variant("SAGE, projected messages, 3 layers", NETWORK, config={"network": "sage-project", "layers": 3}),
        Variant("GATv2, 4 heads", NETWORK, config={"network": "gatv2", "heads": 4}),
        *(Variant(f"depth {n}", NETWORK, config={"layers": n}) for n in range(4)),
        *[Variant("readings off", NETWORK, config=plain)] * reads,
        *_side_tasks(config, snapshot),
        *_without_relations(config, snapshot),
        *(Variant(f"{share:.0%} of the items", GRAPH, **_thinned(share)) for share in SHARES),
        *(Variant(f"text: {source}", TEXT, **_texts(source)) for source in get_args(TextSource)),
        Variant("target edges kept", EDGES, config={"hide_items": 0.0}),
        Variant("target edges hidden class by class (preset)", EDGES),
        Variant("the batch's own target edges dropped", EDGES, config={"hide_items": 0.0}, drop_own_edges=True),
        *(Variant(f"{share:.0%} of edges dropped", NOISY, **_noise(dropped, share)) for share in NOISE),
        *(Variant(f"{share:.0%} of edges rewired", NOISY, **_noise(rewired, share)) for share in NOISE),
    ]  # fmt: skip
    return found


def _side_tasks(config: Config, snapshot: Any) -> list[Variant]:
    """One arm for each further task of the domain that has edges."""
    own, domain = snapshot.domain.task(config.task)[0], snapshot.domain
    others = [name for name in domain.tasks if name != own and len(snapshot.edges(domain.task_edge_type(name))[0])]
    return [Variant(f"multi-task with {name}", NETWORK, config={"side_tasks": {name: 1.0}}) for name in others]


def _without_relations(config: Config, snapshot: Any) -> list[Variant]:
    """One arm for each relation that can reach a class and has edges; its phrase goes with it."""
    types = [tuple(t) for t in snapshot.edge_types]
    both = list(dict.fromkeys(types + [reverse_of(t) for t in types]))
    live = {
        t
        for layer in live_edge_types(both, snapshot.domain.task_edge_type(config.task)[2], config.layers)
        for t in layer
    }
    reaching = [t for t in types if (t in live or reverse_of(t) in live) and len(snapshot.edges(t)[0])]
    return [Variant(f"without {_told(t)}", RELATIONS, **_relation_gone(config, t)) for t in reaching]


def _relation_gone(config: Config, edge_type: EdgeType) -> dict[str, Any]:
    phrases = {relation: said for relation, said in config.phrases.items() if relation != edge_type[1]}
    override = {"phrases": phrases} if len(phrases) < len(config.phrases) else {}
    return {
        "config": override,
        "change": lambda graph, *_: without_relation(graph, edge_type),
        "label": _told(edge_type),
    }


def _thinned(share: float) -> dict[str, Any]:
    """Training items beyond the share lose their relations; their images are trained on all the same."""

    def change(graph: Any, examples: LabelledImages, rng_seed: int) -> Any:
        items = np.unique(examples.item_row[examples.of("train")])
        order = np.random.default_rng(rng_seed).permutation(items)
        return without_items(graph, order[round(share * len(items)) :])

    return {} if share == 1 else {"change": change, "label": f"items {share}"}


def _texts(source: Any) -> dict[str, Any]:
    return {"change": lambda graph, *_: with_texts(graph, source), "label": f"texts {source}"}


def _noise(kind: Any, share: float) -> dict[str, Any]:
    return {
        "change": lambda graph, _, rng_seed: kind(graph, share, rng_seed=1000 + rng_seed),
        "label": f"{kind.__name__} {share}",
    }


def _told(edge_type: EdgeType) -> str:
    return f"{edge_type[0]}-{edge_type[1]}-{edge_type[2]}"
