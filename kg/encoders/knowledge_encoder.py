"""What do the triples of a sentence add to its vector?

    e_k = w(head) + w(relation) - w(tail),   knowledge = unit(W LayerNorm(mean over k of Transformer(e_1 ... e_K)_k))

w is the mean of a word's token vectors; the minus is what makes (peacock, above, lotus) differ from its reverse. An
attribute is the triple (thing, is, attribute).

Reference: Huang et al. 2024 (Structure-CLIP), knowledge-enhanced encoder. Its code has other triples (three BERT
inputs summed); width, layers and the mean over triples are ours.

Imported by `kg.encoders.knowledge` on first use, because it loads torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from kg.scenes.telling import Triple

__all__ = ["TRIPLES", "KnowledgeEncoder", "Speller"]

TRIPLES = 8
"""Of a sentence, at most; further ones are not read."""
_WORD_TOKENS = 4


class Speller:
    """Triples as the encoder takes them, by the tokenizer of the text tower; each word is looked up once."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._words: dict[str, list[int]] = {}

    def spelled(self, triples: Sequence[Triple], *, room: int = TRIPLES) -> Tensor:
        """Shapes: -> (room, 3, tokens) int64, 0 where there is nothing."""
        found = torch.zeros(room, 3, _WORD_TOKENS, dtype=torch.long)
        for n, triple in enumerate(triples[:room]):
            for place, word in enumerate(triple):
                ids = self._word(word)
                found[n, place, : len(ids)] = torch.tensor(ids)
        return found

    def stacked(self, texts: Sequence[Tensor], *, room: int = TRIPLES) -> Tensor:
        """Shapes: n of (room, 3, tokens) -> (n, room, 3, tokens), also for n = 0."""
        return torch.stack(list(texts)) if texts else torch.zeros(0, room, 3, _WORD_TOKENS, dtype=torch.long)

    def _word(self, word: str) -> list[int]:
        if word not in self._words:
            self._words[word] = self._tokenizer.encode(word)[:_WORD_TOKENS]
        return self._words[word]


class KnowledgeEncoder(nn.Module):
    """Triples to a vector; a sentence without triples gets zeros."""

    def __init__(self, token_vectors: Tensor, dim: int, *, layers: int = 2, heads: int = 4) -> None:
        """`token_vectors` (vocabulary, width): where the words start, as the text tower knows them; token 0 is padding.

        They are scaled to unit variance, since the transformer normalises only after its first sum.
        """
        super().__init__()
        self.layers = layers
        start = token_vectors.detach().clone().float()
        self.words = nn.Embedding.from_pretrained(start / start.std().clamp(min=1e-6), freeze=False)
        width = token_vectors.shape[1]
        heads = heads if width % heads == 0 else 1
        layer = nn.TransformerEncoderLayer(width, heads, 2 * width, 0.0, F.gelu, batch_first=True, norm_first=True)
        self.transformer = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, dim))

    def forward(self, triples: Tensor) -> Tensor:
        """Shapes: (n, triples, 3, tokens) int64, 0 where there is nothing -> (n, dim), unit length or all zeros."""
        empty = ~(triples != 0).any(3).any(2)  # (n, triples)
        means = F.embedding_bag(triples.reshape(-1, triples.shape[3]), self.words.weight, mode="mean", padding_idx=0)
        head, relation, tail = means.view(*triples.shape[:3], -1).unbind(2)
        nothing = empty.all(1)
        hidden = empty.clone()
        hidden[nothing] = False  # attention over nothing is not a number
        encoded = self.transformer(head + relation - tail, src_key_padding_mask=hidden)
        kept = (~empty)[..., None].to(encoded.dtype)
        mean = (encoded * kept).sum(1) / kept.sum(1).clamp(min=1)
        return torch.where(nothing[:, None], 0.0, F.normalize(self.out(mean).float(), dim=-1))
