"""What does a class encoder need of a snapshot: blocks backwards from the classes, features, and what relations say?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kg.errors import EncoderError, RecipeConfigError
from kg.schema import Domain, EdgeType
from training.features import Features
from training.message_passing import Block, MessageGraph, open_graph
from training.models.class_encoder import ClassInputs
from training.node_features import Source, encoders_of, source_of, visual_nodes

__all__ = ["Gatherer", "check_phrases", "finite", "speak"]

_SMALLEST_SHARE = 1e-6


@dataclass(frozen=True)
class Gatherer:
    """Brings `ClassInputs` together for one task; the same for training, evaluation and refresh."""

    features: Features
    item_edge: EdgeType
    text_features: tuple[str, ...]
    phrases: Mapping[str, str]
    share_power: float
    n_layers: int
    library: str = "dgl"
    """Which message passing carries the blocks."""
    sources: Mapping[str, Source] = field(default_factory=dict)
    """Label -> where its features come from, if not from where they usually do."""

    def phrase(self, edge_type: EdgeType) -> str | None:
        """The template by which an edge type into the classes describes them."""
        return self.phrases.get(edge_type[1].removeprefix("rev_")) if edge_type[2] == self.item_edge[2] else None

    def gather(
        self,
        snapshot: Any,
        *,
        drop: dict[EdgeType, np.ndarray] | None = None,
        class_rows: np.ndarray | None = None,
        also: Sequence[str] = (),
        items: np.ndarray | None = None,
        approve: Callable[[Sequence[Block]], None] | None = None,
        graph: MessageGraph | None = None,
    ) -> ClassInputs:
        """All inputs of the classes' vectors, without the dropped edges; blocks lead to the labels in `also` too.

        `items` (items,): whose images may be features of nodes of other types; None: all. `approve` sees the blocks
        before any feature is read. `graph`: one that was opened without these edges before.
        Raises: EncoderError for features that are not finite.
        """
        item, _, label = self.item_edge
        rows = torch.arange(snapshot.count(label)) if class_rows is None else torch.as_tensor(class_rows)
        graph = graph or self.open(snapshot, drop=drop)
        others = {name: torch.arange(snapshot.count(name)) for name in also}
        blocks = graph.blocks({label: rows, **others}, max(1, self.n_layers))
        if approve is not None:
            approve(blocks)
        outermost, near = blocks[0].src_rows, blocks[-1]
        texts, (feat, readable) = self._texts(snapshot), self.features.images(snapshot)
        feat = finite(torch.as_tensor(np.array(feat)), "images")
        visual = self._item_visual(snapshot, feat, torch.as_tensor(np.array(readable)))
        seen = {"feat": feat, "readable": readable, "drop": drop or {}, "items": items}
        item_mean, linked = self.linked(near, visual.__getitem__)
        return ClassInputs(
            blocks=blocks if self.n_layers else [],
            texts={name: texts[name][at] for name, at in outermost.items() if self._source(name) != "visual"},
            visual=visual[outermost.get(item, torch.zeros(0, dtype=torch.long))],
            phrase_means=self.said(snapshot, near),
            item_mean=item_mean,
            linked=linked,
            own=texts[label][rows] if self._source(label) == "text" else visual.new_zeros(len(rows), 0),
            visual_nodes={
                name: visual_nodes(snapshot, name, at, **seen)
                for name, at in outermost.items()
                if name != item and self._source(name) == "visual"
            },
        )

    def open(self, snapshot: Any, *, drop: dict[EdgeType, np.ndarray] | None = None) -> MessageGraph:
        """The graph that carries the messages."""
        return open_graph(snapshot, library=self.library, drop=drop, weights=self.edge_weights(snapshot))

    def linked(self, near: Block, visual_of: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Mean feature of linked items, and who has any; `visual_of` gives features of item rows.

        Shapes: (classes, image width), (classes, 1).
        """
        count = near.dst_counts.get(self.item_edge[2], 0)
        if self.item_edge not in near.edge_types:
            return torch.zeros(count, self.features.image_width()), torch.zeros(count, 1)
        items = visual_of(near.src_rows[self.item_edge[0]])
        return near.mean(self.item_edge, items), near.has_neighbours(self.item_edge)

    def said(self, snapshot: Any, near: Block) -> dict[EdgeType, tuple[Tensor, Tensor]]:
        """Mean of what each relation says of each class, and of whom it says anything."""
        spoken = {
            edge_type: self.spoken(edge_type, snapshot.keys(edge_type[0])[near.src_rows[edge_type[0]].numpy()])[1]
            for edge_type in filter(self.phrase, near.edge_types)
        }
        return {t: (near.mean(t, part), near.has_neighbours(t)) for t, part in spoken.items()}

    def spoken(self, edge_type: EdgeType, keys: Sequence[Any]) -> tuple[list[str], Tensor]:
        """What an edge type into the classes says of each node, in words and as vectors. Shapes: (keys, width)."""
        texts = [speak(self.phrase(edge_type), str(key)) for key in keys]
        return texts, torch.as_tensor(self.features.phrases(edge_type[1].removeprefix("rev_"), texts))

    def tables(self, snapshot: Any) -> tuple[dict[str, Tensor], Tensor]:
        """Features of all nodes: texts of the labels that have those, and each item's mean image feature."""
        feat, readable = self.features.images(snapshot)
        texts = {label: part for label, part in self._texts(snapshot).items() if self._source(label) != "visual"}
        seen = finite(torch.as_tensor(np.array(feat)), "images")
        return texts, self._item_visual(snapshot, seen, torch.as_tensor(np.array(readable)))

    def feature_widths(self, snapshot: Any) -> dict[str, int]:
        """Length of each label's features."""
        of = {label: encoders_of(self._source(label), self.text_features) for label in snapshot.node_types}
        return {
            label: self.features.image_width()
            if self._source(label) == "visual"
            else sum(map(self.features.text_width, names))
            for label, names in of.items()
        }

    def widths(self) -> dict[str, int]:
        """Lengths of the features of `clip` and `sentence`, where a label has those."""
        chosen = sorted({source for source in self.sources.values() if source in ("clip", "sentence")})
        return {
            source: sum(map(self.features.text_width, encoders_of(source, self.text_features))) for source in chosen
        }

    def _source(self, label: str) -> Source:
        return source_of(label, self.sources, item=self.item_edge[0])

    def _texts(self, snapshot: Any) -> dict[str, Tensor]:
        """Text features by label, of each by the encoders of its source. Shapes: label -> (nodes, width)."""
        by = {label: encoders_of(self._source(label), self.text_features) for label in snapshot.node_types}
        parts = {name: self.features.texts(snapshot, name) for name in dict.fromkeys(sum(by.values(), ()))}
        return {
            label: finite(torch.as_tensor(np.concatenate([parts[name][label] for name in names], 1)), label)
            for label, names in by.items()
        }

    def _item_visual(self, snapshot: Any, feat: Tensor, readable: Tensor) -> Tensor:
        """Mean image feature of each item, zero for an item without a readable image. Shapes: (items, image width)."""
        item_row, image_row = (torch.as_tensor(np.array(rows, np.int64)) for rows in snapshot.item_images)
        count = snapshot.count(self.item_edge[0])
        usable = readable[image_row].float()
        total = torch.zeros(count, feat.shape[1]).index_add_(0, item_row, feat[image_row] * usable[:, None])
        number = torch.zeros(count).index_add_(0, item_row, usable)
        return total / number.clamp_min(1.0)[:, None]

    def edge_weights(self, snapshot: Any) -> dict[EdgeType, np.ndarray]:
        """share ** share_power of the edge types that carry shares."""
        found = {edge_type: snapshot.shares(edge_type) for edge_type in snapshot.edge_types}
        return {
            edge_type: np.power(np.maximum(share, _SMALLEST_SHARE), self.share_power)
            for edge_type, share in found.items()
            if share is not None
        }


def finite(feat: Tensor, what: str) -> Tensor:
    """The features. Shapes: (n, width). Raises: EncoderError where some are not finite."""
    broken = torch.nonzero(~torch.isfinite(feat).all(1)).flatten()
    if len(broken):
        raise EncoderError(
            f"features of {what}: {len(broken):,} of {len(feat):,} are not finite, the first in row {int(broken[0])}; "
            "delete the encoder's folder in the store's features, or take another encoder"
        )
    return feat


def check_phrases(phrases: Mapping[str, str], domain: Domain) -> None:
    """Raises: RecipeConfigError for a relation that the domain does not have, or a template that cannot be filled."""
    relations = sorted({relation.type for relation in domain.relations})
    for relation, template in phrases.items():
        if relation not in relations:
            known = ", ".join(relations)
            raise RecipeConfigError(f"phrases: {domain.domain} has no relation {relation!r}; it has {known}")
        try:
            speak(template, "word")
        except (AttributeError, LookupError, ValueError) as error:
            way_out = "only {text}, {plural} and {a} may stand in braces"
            raise RecipeConfigError(f"phrases: {relation}: {template!r} cannot be filled; {way_out}") from error


def speak(template: str, key: str) -> str:
    """The template with a node's key as {text} or {plural}, a fitting article for {a}, and no word twice in a row.

    "a saree with {a} body" makes "a saree with a plain body" of "plain body", without a second body.
    """
    words = template.format(text=key, plural=_plural(key), a=_with_article(key)).split()
    return " ".join(word for before, word in zip(["", *words], words, strict=False) if word != before)


def _plural(word: str) -> str:
    if word.endswith("f"):
        return f"{word[:-1]}ves"
    return f"{word}es" if word.endswith(("s", "x", "o", "ch", "sh")) else f"{word}s"


def _with_article(word: str) -> str:
    if word.endswith("s") or word.split()[0] in ("no", "a", "an"):
        return word
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
