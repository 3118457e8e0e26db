"""What does a node's surroundings say of it in words: its own text, then relation by relation what it is linked with?

"Kanchipuram. Heavy silk … Body motif: peacock, temple. Zari: gold."
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

__all__ = ["neighbour_texts"]

_MOST = 6
"""Neighbours told a relation: the largest shares first, else those that are rarest, which say most."""


def neighbour_texts(
    snapshot: Any, label: str, rows: Sequence[int], *, most: int = _MOST, without: Collection[str] = ()
) -> list[str]:
    """Texts of some nodes with those of their neighbours' keys; `without` are relation types that are not told.

    Items are not told, they are too many and have names of files. The same graph gives the same texts.
    """
    own = snapshot.texts(label)
    said: list[list[str]] = [[] for _ in rows]
    for edge_type in sorted(snapshot.edge_types):
        source, relation, target = edge_type
        if relation in without or snapshot.domain.item in (source, target):
            continue
        ends = [np.asarray(part, np.int64) for part in snapshot.edges(edge_type)]
        share = snapshot.shares(edge_type)
        for here, there, other, name in ((0, 1, target, relation), (1, 0, source, f"{relation} of")):
            if edge_type[2 * here] != label:
                continue
            told = _told(ends[here], ends[there], share, snapshot.keys(other), rows, most)
            for place, names in enumerate(told):
                if names:
                    said[place].append(f"{_words(name)}: {', '.join(names)}.")
    return [" ".join([_ended(own[row]), *parts]) for row, parts in zip(rows, said, strict=True)]


def _told(
    here: np.ndarray, there: np.ndarray, share: Any, keys: Any, rows: Sequence[int], most: int
) -> list[list[str]]:
    """Names of the neighbours of each of `rows`."""
    weight = np.bincount(there, minlength=len(keys))[there] if share is None else -np.asarray(share, float)
    order = np.lexsort((there, weight, here))
    here, there = here[order], there[order]
    found = []
    for row in rows:
        first, last = np.searchsorted(here, row), np.searchsorted(here, row, side="right")
        found.append([str(keys[other]) for other in dict.fromkeys(there[first:last].tolist())][:most])
    return found


def _words(relation: str) -> str:
    return relation.replace("_", " ").capitalize()


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) or not text else f"{text}."
