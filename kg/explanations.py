"""How is an explanation kept in the graph, where Cypher finds it and Browser draws it?

(:Explanation {id, at, image, class, score, probability, version, set, sentence, heat_map_uri})
    -[:EXPLAINS]->(:Image)   -[:FOR]->(its class)   -[:EVIDENCE {weight, relation, rank, says, key, mask}]->(a node)

The id is a hash of image, class and embedding set. Writing the same explanation again changes nothing; another one of
the same three replaces it whole, in one transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from cypher import load
from kg.errors import NodeNotFound
from kg.graph import Graph
from kg.schema import Domain, load_domain

__all__ = ["Evidence", "Explanation", "explanation_id", "find_explanation", "list_explanations", "write_explanation"]

_FIGURES = 6


@dataclass(frozen=True)
class Evidence:
    """One node that speaks for the class (weight above 0) or against it."""

    node_type: str
    key: str
    relation: str
    weight: float
    """Share of the score that it brings, in cosine."""
    rank: int
    """1 is the strongest."""
    says: str = ""
    """In words, such as "peacocks on the pallu"."""
    mask: float | None = None
    """How much of it the class needs to keep its probability, 0..1, where that was learnt."""


@dataclass(frozen=True)
class Explanation:
    """Why one image has, or has not, one class."""

    image: str
    """sha256."""
    class_key: str
    score: float
    """Cosine of image and class."""
    probability: float
    version: str
    set: str
    sentence: str
    evidence: tuple[Evidence, ...] = ()
    heat_map_uri: str | None = None
    """Path relative to the store."""

    @property
    def id(self) -> str:
        """What the node is known by."""
        return explanation_id(self.image, self.class_key, self.set)


def explanation_id(image: str, class_key: str, embedding_set: str) -> str:
    """The id of the explanation of an image and a class by an embedding set."""
    return hashlib.sha256("\0".join((image, class_key, embedding_set)).encode()).hexdigest()[:16]


def write_explanation(graph: Graph, domain: Domain | str, task: str | None, explanation: Explanation) -> bool:
    """Keep an explanation with its evidence; False where the very same one was there already.

    Raises: NodeNotFound where the graph has no such image or class.
    """
    domain = load_domain(domain) if isinstance(domain, str) else domain
    if find_explanation(graph, explanation.id) == _rounded(explanation):
        return False
    label = domain.task(task)[1].target
    statement = load("explanations/write").fill(**{"class": label, "class_key": domain.node_type(label).key})
    with graph.transaction(f"explanations/write {explanation.id}") as tx:
        rows = tx.run(
            statement,
            id=explanation.id,
            image=explanation.image,
            properties=_properties(explanation),
            **{"class": explanation.class_key},
        )
        if not rows:
            raise NodeNotFound(
                f"keeping the explanation of image {explanation.image[:16]}: the graph has no such image, or no "
                f"{label} {explanation.class_key!r}; import the image first, or leave it to --out"
            )
        tx.run("explanations/remove_evidence", id=explanation.id)
        for node_type, rows in _by_label(_rounded(explanation).evidence):
            slots = {"node": node_type, "node_key": domain.node_type(node_type).key}
            tx.run(load("explanations/write_evidence").fill(**slots), id=explanation.id, evidence=rows)
    return True


def find_explanation(graph: Graph, explanation: str) -> Explanation | None:
    """The explanation of that id, None where there is none."""
    row = graph.one("explanations/find", id=explanation)
    if row is None:
        return None
    said = row["explanation"]
    wanted = ("image", "score", "probability", "version", "set", "sentence", "heat_map_uri")
    evidence = tuple(Evidence(**part) for part in row["evidence"])
    return Explanation(class_key=said["class"], evidence=evidence, **{name: said.get(name) for name in wanted})


def list_explanations(graph: Graph, class_key: str = "", k: int = 20) -> list[dict[str, Any]]:
    """What was explained, latest first."""
    return graph.run("explanations/list", k=k, **{"class": class_key})


def _rounded(explanation: Explanation) -> Explanation:
    """As it comes back: numbers as the graph keeps them, evidence by rank."""
    kept = {**vars(explanation), **_properties(explanation)}
    evidence = (_rounded_evidence(part) for part in sorted(explanation.evidence, key=lambda part: part.rank))
    return Explanation(**{**kept, "evidence": tuple(evidence)})


def _rounded_evidence(part: Evidence) -> Evidence:
    mask = None if part.mask is None else _number(part.mask)
    return Evidence(**{**vars(part), "weight": _number(part.weight), "mask": mask})


def _properties(explanation: Explanation) -> dict[str, Any]:
    return {
        "score": _number(explanation.score),
        "probability": _number(explanation.probability),
        "version": explanation.version,
        "set": explanation.set,
        "sentence": explanation.sentence,
        "heat_map_uri": explanation.heat_map_uri,
    }


def _number(value: float) -> float:
    return round(float(value), _FIGURES)


def _by_label(evidence: Sequence[Evidence]) -> list[tuple[str, list[dict[str, Any]]]]:
    ordered = sorted(evidence, key=lambda part: part.node_type)
    return [
        (label, [{k: v for k, v in asdict(part).items() if k != "node_type"} for part in parts])
        for label, parts in groupby(ordered, key=lambda part: part.node_type)
    ]
