"""How does a configuration of HGCLIP become networks, and a snapshot what they take in?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kg.errors import RecipeConfigError
from kg.schema import Domain, EdgeType
from training.class_inputs import Gatherer, check_phrases
from training.hierarchy_inputs import PatchFeatures, name_texts, phrase_vectors, prototypes, text_vectors
from training.message_passing import reverse_of
from training.models.class_encoder import ClassEncoder, ImageProjection
from training.models.hierarchy_graph import GraphEncoder, HierarchyNodes, edge_mask
from training.models.hierarchy_network import HierarchyInputs, HierarchyNetwork, HierarchyState, spoken_words
from training.models.likelihood import LikelihoodNetwork
from training.models.prompts import PromptedImages, PromptedTexts
from training.readings import AskedFeatures, ReadFeatures

__all__ = ["HierarchyBuilder"]


class HierarchyBuilder:
    """Makes the network of a configuration, once, and the inputs of any snapshot of its domain.

    Raises: RecipeConfigError for settings that exclude each other.
    """

    def __init__(self, config: Any, domain: Domain, item_edge: EdgeType, features: Any) -> None:
        check_phrases(config.phrases, domain)
        self.config, self.item_edge, self._base = config, item_edge, features
        self.asks = config.match == "likelihood"
        words = config.readings if isinstance(config.readings, dict) else {}
        _check(config, words)
        form = {"phrases": config.phrases, "words": words, "scale": config.reading_scale}
        read = (AskedFeatures if self.asks else ReadFeatures)(features, **form) if words else features
        self.features = PatchFeatures(read) if config.patch_weight else read
        self.network = self._network(domain)

    def images(self, snapshot: Any) -> tuple[Tensor, np.ndarray]:
        """What the network takes of all images, and which of them are readable. Shapes: (images, ...), (images,)."""
        if self.network.pictures is not None:
            pictures = self.network.pictures
            feat, readable = self._base.states(snapshot, pictures.name, pictures.early)
        else:
            feat, readable = self.features.images(snapshot)
        return torch.as_tensor(np.array(feat, np.float32)), np.asarray(readable)

    def inputs(self, snapshot: Any, nodes: HierarchyNodes, keys: Sequence[str], *, drop: Any) -> HierarchyInputs:
        """All that the nodes bring; `drop`: relations that must not be seen."""
        members, mask = nodes.members().float(), edge_mask(nodes, direction=self.config.edges)
        words = self._words(snapshot, nodes, drop=drop)
        context = None if self._context is None else self._context.gather(snapshot, drop=drop)
        if self.asks:
            return HierarchyInputs(words, torch.zeros(nodes.count, 0), mask, members, context)
        width = self.network.images.mean.shape[0]
        means = torch.stack([self.network.means.get(key, torch.zeros(width)) for key in keys])
        if words is None:
            words = seen = prototypes(means, nodes, words=torch.zeros(nodes.count, width))
        else:
            spoken = self.network.texts(words).detach() if words.dtype == torch.long else spoken_words(words, members)
            seen = prototypes(means, nodes, words=spoken)
        return HierarchyInputs(words, seen, mask, members, context)

    def _words(self, snapshot: Any, nodes: HierarchyNodes, *, drop: Any) -> Tensor | None:
        config = self.config
        if config.words == "prototypes":
            return None
        if config.words == "names":
            texts = name_texts(nodes, prompt=config.prompt)
            return self.network.texts.ids(texts) if self.network.texts else text_vectors(self.features, texts)
        form = {"item_edge": self.item_edge, "text_features": (), "phrases": config.phrases}
        gatherer = Gatherer(features=self.features, **form, share_power=1.0, n_layers=0)
        reads = not self.asks and getattr(self.features, "readings", None) is not None
        return phrase_vectors(snapshot, gatherer, drop=drop, reads=reads)

    def _network(self, domain: Domain) -> HierarchyState:
        config, width = self.config, self.features.image_width()
        form = {"hidden": config.hidden, "layers": config.layers, "heads": config.heads, "kind": config.graph}
        form |= {"heads_used": config.heads_used, "residual": config.residual, "dropout": config.dropout}
        if self.asks:
            readings = self.features.readings
            network: HierarchyState = LikelihoodNetwork(GraphEncoder(width, **form), readings.phrases, readings.sizes)
        else:
            network = HierarchyNetwork(
                GraphEncoder(width, **form),
                GraphEncoder(width, **form),
                ImageProjection(width, width, learned=config.image_projection == "learned"),
                relations=len(config.phrases) if config.words == "phrases" else 0,
                prototype_weight=config.prototype_weight,
                patch_weight=config.patch_weight,
                sharpness=config.sharpness,
                log_scale=float(np.log(config.scale)),
            )
        self._prompt(network)
        self._context = self._context_gatherer() if config.context == "graph" else None
        if self._context is not None:
            network.context = self._context_encoder(domain, width)
        return network

    def _prompt(self, network: HierarchyState) -> None:
        config = self.config
        if not config.text_prompts and not config.image_prompts:
            return
        clip = self._base.image_encoder().clip
        if clip is None:
            raise RecipeConfigError("prompts: the image encoder has no text tower; set text_prompts=0, image_prompts=0")
        if config.text_prompts:
            said = [text for texts in self.features.texts_of.values() for text in texts] if self.asks else []
            like = said or [config.prompt.format(name=name) for name in ("a", "one")]
            network.texts = PromptedTexts(clip, like, tokens=config.text_prompts)
            if said:
                network.phrase_ids = network.texts.ids(said)
        if config.image_prompts:
            network.pictures = PromptedImages(clip, tokens=config.image_prompts, blocks=config.prompted_blocks)

    def _context_gatherer(self) -> Gatherer:
        return Gatherer(
            features=self._base, item_edge=self.item_edge, text_features=self.config.context_texts, phrases={},
            share_power=1.0, n_layers=2, library="torch",
        )  # fmt: skip

    def _context_encoder(self, domain: Domain, width: int) -> ClassEncoder:
        """GraphCLIP's network, whose last layer is zero at first."""
        types = [tuple(edge_type) for edge_type in domain.edge_types]
        both_ways = list(dict.fromkeys(types + [reverse_of(edge_type) for edge_type in types]))
        text_width = sum(self._base.text_width(name) for name in self.config.context_texts)
        form = {"width": width, "text_width": text_width, "image_width": self._base.image_width()}
        return ClassEncoder(both_ways, self.item_edge, described_by=(), **form, hidden=96, n_layers=2, image_weight=0.0)


def _check(config: Any, words: Any) -> None:
    """Raises: RecipeConfigError."""
    asks = config.match == "likelihood"
    wrong = {
        "match=likelihood asks in the graph's words; set words=phrases and readings=graph": asks
        and (config.words != "phrases" or not words),
        "match=likelihood takes pictures whole and as they are; set patch_weight=0 and image_projection=none": asks
        and (config.patch_weight or config.image_projection != "none"),
        "text_prompts change texts that training reads: set words=names, or match=likelihood": config.text_prompts
        and not asks
        and config.words != "names",
        "image_prompts change what is cached; set patch_weight=0, and match=likelihood or readings=none": (
            config.image_prompts and (config.patch_weight or (words and not asks))
        ),
    }
    for said, so in wrong.items():
        if so:
            raise RecipeConfigError(f"hgclip: {said}")
