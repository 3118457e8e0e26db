"""What does a published version read in a text beside its words, as the recipe that trained it did?

A trained knowledge encoder with the words it tells triples by: `Knowledge.added(texts, tokenizer)` is what is added to
the text tower's vectors. torch is imported on first use; see `kg.encoders`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kg.scenes.telling import Parser, Words, tell_all, triples_of
from kg.store import atomic_write

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from kg.encoders.knowledge_encoder import KnowledgeEncoder

__all__ = ["Knowledge"]

_WEIGHTS, _READING = "knowledge.safetensors", "knowledge.json"


class Knowledge:
    """Triples of texts as vectors: `weight` times unit vectors, zero for a text that tells no triple."""

    def __init__(self, net: KnowledgeEncoder, words: Words, *, weight: float, parser: Parser = "words") -> None:
        self.net, self.words, self.weight, self.parser = net.eval(), words, weight, parser

    def added(self, texts: Sequence[str], tokenizer: Any) -> np.ndarray:
        """Shapes: texts -> (n, dim) float32. Raises: EncoderError (the parser is spaCy, and it is missing)."""
        import torch

        from kg.encoders.knowledge_encoder import Speller

        told = tell_all(texts, self.words, parser=self.parser)
        speller = Speller(tokenizer)
        device = next(self.net.parameters()).device
        with torch.inference_mode():
            triples = speller.stacked([speller.spelled(triples_of(one)) for one in told]).to(device)
            return (self.weight * self.net(triples)).float().cpu().numpy()

    def save(self, folder: Path) -> None:
        """Write weights and words into a folder."""
        from safetensors.torch import save

        with atomic_write(folder / _WEIGHTS) as file:
            file.write(save({name: tensor.contiguous() for name, tensor in self.net.state_dict().items()}))
        said = {"weight": self.weight, "parser": self.parser, "layers": self.net.layers, "words": self.words.known}
        with atomic_write(folder / _READING) as file:
            file.write(json.dumps(said, ensure_ascii=False).encode())

    @classmethod
    def load(cls, folder: Path, *, device: str = "cpu") -> Knowledge | None:
        """What `save` wrote; None where a folder has none."""
        if not (folder / _READING).is_file():
            return None
        import torch
        from safetensors.torch import load_file

        from kg.encoders.knowledge_encoder import KnowledgeEncoder

        said = json.loads((folder / _READING).read_text(encoding="utf-8"))
        weights = load_file(folder / _WEIGHTS)
        vectors, dim = torch.zeros_like(weights["words.weight"]), len(weights["out.1.weight"])
        net = KnowledgeEncoder(vectors, dim, layers=said["layers"])
        net.load_state_dict(weights)
        words = Words({said_as: tuple(meant) for said_as, meant in said["words"].items()})
        return cls(net.to(device), words, weight=said["weight"], parser=said["parser"])
