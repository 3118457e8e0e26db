"""What does one publish take, is it fit to be published, and which ids follow from it?

Ids are hashes of content, short, and safe in a property's name: the same content has the same id everywhere.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from kg.errors import DimensionMismatch, SchemaViolation
from kg.publishing import artefacts
from kg.schema import TEXT_TASK, Domain, load_domain

__all__ = [
    "LevelVectors",
    "Publication",
    "SetDescription",
    "check",
    "check_levels",
    "describe_set",
    "unit_vectors",
    "version_content",
    "version_id",
    "whoever",
]

LONGEST_VECTOR = 4096
"""What Neo4j's vector indexes take."""

_UNIT_TOLERANCE = 1e-3


def whoever() -> str:
    """The person who runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


@dataclass(frozen=True)
class LevelVectors:
    """Vectors of classes above a task's own, of one label. Shapes: (len(keys), dim), unit length."""

    label: str
    key: str
    """Property that is the label's key."""
    keys: Sequence[str]
    vectors: np.ndarray


class Publication(BaseModel):
    """All that one publish takes. Task `text` has no classes and needs a tower that encodes texts.

    Shapes: class_vectors (len(class_keys), dim), image_vectors (len(image_ids), dim); both of unit length.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    domain: Domain = Field(description="The domain, or its name.")
    task: str
    recipe: str
    run_dir: Path
    snapshot_hash: str
    config: dict[str, Any]
    metrics: dict[str, Any] = {}
    dim: int
    scale: float
    temperature: float = 1.0
    graph: Literal["live", "masked"] = "live"
    class_keys: Sequence[str] = ()
    class_vectors: np.ndarray = Field(default_factory=lambda: np.zeros((0, 0), np.float32))
    levels: tuple[LevelVectors, ...] = ()
    image_ids: Sequence[str]
    image_vectors: np.ndarray
    tower_dir: Path | None = Field(None, description="Saved image tower; without one, files cannot be classified.")
    model_dir: Path | None = Field(None, description="Whatever the recipe needs to encode classes again.")
    code: str = Field("", description="Revision of the code that trained it.")
    started_by: str = Field(default_factory=whoever)

    @field_validator("domain", mode="before")
    @classmethod
    def _by_name(cls, value: object) -> object:
        return load_domain(value) if isinstance(value, str) else value

    @field_validator("class_keys", "image_ids", mode="before")
    @classmethod
    def _as_list(cls, value: Sequence[str]) -> list[str]:
        return [str(key) for key in value]

    @field_validator("class_vectors", "image_vectors", mode="before")
    @classmethod
    def _as_float32(cls, value: object) -> np.ndarray:
        return np.asarray(value, dtype=np.float32)


class SetDescription(BaseModel, frozen=True):
    """The properties of an EmbeddingSet node."""

    id: str
    domain: str
    task: str
    graph: str
    snapshot: str
    class_property: str | None
    scale: float
    temperature: float
    started_by: str
    content: str


def check(publication: Publication) -> None:
    """Refuse what must not be published.

    Raises: DimensionMismatch, SchemaViolation (unknown task included).
    """
    what = f"publishing {publication.domain.domain}/{publication.domain.task_name(publication.task)}"
    if not 1 <= publication.dim <= LONGEST_VECTOR:
        raise DimensionMismatch(
            f"{what}: vectors of {publication.dim} numbers; Neo4j's index takes 1 to {LONGEST_VECTOR}"
        )
    if publication.task == TEXT_TASK:
        _check_text_side(publication, what)
    else:
        unit_vectors(publication.class_keys, publication.class_vectors, publication.dim, what=f"{what}: class vectors")
        check_levels(publication.levels, publication.dim, what=what)
    unit_vectors(publication.image_ids, publication.image_vectors, publication.dim, what=f"{what}: image vectors")


def _check_text_side(publication: Publication, what: str) -> None:
    """Raises: SchemaViolation for classes, or a tower that cannot turn the searched text into a vector."""
    if len(publication.class_keys) or publication.levels:
        raise SchemaViolation(f"{what}: has {len(publication.class_keys)} classes, but searching by text takes none")
    manifest = artefacts.tower_manifest(publication.tower_dir)
    if not manifest.get("has_text") or manifest.get("dim") != publication.dim:
        said = f"says dim {manifest.get('dim')} and has_text {manifest.get('has_text')}"
        raise SchemaViolation(
            f"{what}: the tower {publication.tower_dir} {said}; save an ImageTower of {publication.dim} numbers that "
            "encodes texts"
        )


def check_levels(levels: Sequence[LevelVectors], dim: int, *, what: str) -> None:
    """Raises: DimensionMismatch, SchemaViolation (a class that stands in two places has one property for vectors)."""
    for label in dict.fromkeys(level.label for level in levels):
        parts = [level for level in levels if level.label == label]
        keys = [key for part in parts for key in part.keys]
        unit_vectors(keys, np.concatenate([part.vectors for part in parts]), dim, what=f"{what}: {label} vectors")


def unit_vectors(keys: Sequence[str], vectors: np.ndarray, dim: int, *, what: str) -> np.ndarray:
    """The vectors as float32, checked. Shapes: (len(keys), dim).

    Raises: DimensionMismatch (shape), SchemaViolation (a key twice, NaN, not of unit length).
    """
    vectors = np.asarray(vectors, dtype=np.float32)
    if vectors.shape != (len(keys), dim):
        raise DimensionMismatch(f"{what}: array of shape {vectors.shape}, must be {(len(keys), dim)}; encode again")
    if len(set(keys)) != len(keys):
        twice = Counter(keys).most_common(1)[0][0]
        raise SchemaViolation(f"{what}: {twice!r} occurs twice; give every key one vector")
    norms = np.linalg.norm(vectors, axis=1)
    wrong = np.flatnonzero(~(np.abs(norms - 1) <= _UNIT_TOLERANCE))  # NaN counts as wrong
    if wrong.size:
        first = int(wrong[0])
        raise SchemaViolation(
            f"{what}: {wrong.size:,} of {len(keys):,} are not of unit length, such as {keys[first]!r} "
            f"with {norms[first]:.6g}; normalise them in single precision, and see whether the run diverged"
        )
    return vectors


def version_id(publication: Publication, content: str | None = None) -> str:
    """The version's id: its recipe and the beginning of `version_content`."""
    return f"{_plain(publication.recipe)}_{(content or version_content(publication))[:8]}"


def version_content(publication: Publication) -> str:
    """A hash of everything that determines the version's image vectors; its tasks share them."""
    digest = hashlib.sha256()
    run, config = publication.run_dir.name, as_json(publication.config)
    for part in (
        publication.domain.domain,
        publication.recipe,
        run,
        publication.snapshot_hash,
        config,
        str(publication.dim),
    ):
        digest.update(part.encode() + b"\0")
    for folder in (publication.tower_dir, publication.model_dir):
        digest.update((artefacts.folder_hash(folder) if folder else "none").encode() + b"\0")
    return digest.hexdigest()


def describe_set(
    version: str,
    keys: Sequence[str],
    vectors: np.ndarray,
    *,
    domain: str,
    task: str,
    graph: str,
    snapshot: str,
    scale: float,
    temperature: float,
    started_by: str,
    levels: Sequence[LevelVectors] = (),
) -> SetDescription:
    """Properties and id of the embedding set that these class vectors make.

    Raises: SchemaViolation when there is no class, or scale or temperature cannot be used.
    """
    if not len(keys) and task != TEXT_TASK:
        raise SchemaViolation(
            f"publishing {domain}/{task}: no class has a vector; import the graph's class nodes first"
        )
    for name, value in (("scale", scale), ("temperature", temperature)):
        if not (np.isfinite(value) and value > 0):
            raise SchemaViolation(
                f"publishing {domain}/{task}: {name} is {value}, must be positive; the run that made it is broken"
            )
    order = np.argsort(np.asarray(keys, dtype=str), kind="stable")
    parts = [
        version,
        domain,
        task,
        graph,
        snapshot,
        repr(float(scale)),
        repr(float(temperature)),
        *(keys[i] for i in order),
    ]
    digest = hashlib.sha256("\0".join(parts).encode())
    digest.update(np.ascontiguousarray(vectors[order], dtype=np.float32).tobytes())
    for level in levels:
        digest.update("\0".join(["", level.label, *level.keys]).encode())
        digest.update(np.ascontiguousarray(level.vectors, dtype=np.float32).tobytes())
    set_id = f"{version}_{_plain(task)}_{digest.hexdigest()[:8]}"
    return SetDescription(
        id=set_id,
        domain=domain,
        task=task,
        graph=graph,
        snapshot=snapshot,
        class_property=None if task == TEXT_TASK else f"embedding_{set_id}",
        scale=scale,
        temperature=temperature,
        started_by=started_by,
        content=digest.hexdigest(),
    )


def as_json(value: object) -> str:
    """Maps cannot be properties in Neo4j; this is how configuration and metrics are kept."""
    return json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
