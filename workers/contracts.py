"""Which tasks can be asked for, and what does each take and give?

A task's name, its queue and its arguments are one frozen class here; the API, the command line and beat know nothing
else of the workers. Ids and hashes go in, ids come out: what a step returns is merged into the next one's arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue, StringConstraints, ValidationError

from kg.errors import PayloadError

__all__ = [
    "PAYLOAD_VERSION",
    "PIPELINE",
    "QUEUES",
    "EncodeImages",
    "EncodeTexts",
    "Evaluate",
    "Payload",
    "Publish",
    "Pull",
    "Queue",
    "Refresh",
    "Retrain",
    "RetrainActive",
    "Train",
    "parse",
]

PAYLOAD_VERSION = 1
"""Raised when an argument changes its meaning; a task queued by another version is refused, never guessed at."""

Queue = Literal["cpu", "gpu", "io"]
QUEUES: tuple[Queue, ...] = ("cpu", "gpu", "io")
"""io: the database works; gpu: encoders and training, on an accelerator where the machine has one; cpu: the rest."""

# No name may lead out of the store or be mistaken for an option, hence no slash and no leading dot or dash.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,119}$")]
EncoderSpec = Annotated[str, StringConstraints(min_length=1, max_length=500)]
_P = TypeVar("_P", bound="Payload")


class Payload(BaseModel):
    """Arguments of one task; a subclass names the task and the queue that it goes to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task_name: ClassVar[str]
    queue: ClassVar[Queue]

    version: Literal[1] = PAYLOAD_VERSION


class Pull(Payload):
    """Write a snapshot of the graph; gives `snapshot`."""

    task_name: ClassVar[str] = "korvai.pull"
    queue: ClassVar[Queue] = "io"

    domain: Name
    task: Name | None = None


class _OfARecipe(Payload):
    """What makes a run: with the snapshot, these say which vectors and which run folder are meant, on every machine."""

    task: Name | None = None
    recipe: Name
    preset: Name | None = None
    config: dict[str, JsonValue] = {}
    """Overrides of the preset."""
    vision_encoder: EncoderSpec


class EncodeTexts(_OfARecipe):
    """Encode the texts that a recipe reads and the cache does not have; gives `snapshot`."""

    task_name: ClassVar[str] = "korvai.encode_texts"
    queue: ClassVar[Queue] = "gpu"

    snapshot: Name


class EncodeImages(Payload):
    """Encode the images that the cache does not have; gives `snapshot`."""

    task_name: ClassVar[str] = "korvai.encode_images"
    queue: ClassVar[Queue] = "gpu"

    snapshot: Name
    vision_encoder: EncoderSpec


class Train(_OfARecipe):
    """Train a recipe on a snapshot, going on where the same run was stopped; gives `run`."""

    task_name: ClassVar[str] = "korvai.train"
    queue: ClassVar[Queue] = "gpu"

    snapshot: Name


class Evaluate(Payload):
    """Read a run back: it must be finished, its figures there and its weights whole; gives `run`."""

    task_name: ClassVar[str] = "korvai.evaluate"
    queue: ClassVar[Queue] = "gpu"

    run: Name


class Publish(Payload):
    """Write a run's vectors into the graph and make the set the active one; gives `embedding_set`."""

    task_name: ClassVar[str] = "korvai.publish"
    queue: ClassVar[Queue] = "io"

    run: Name


class Refresh(Payload):
    """Give the classes as they are in the graph now new vectors of the active version; gives `embedding_set`."""

    task_name: ClassVar[str] = "korvai.refresh"
    queue: ClassVar[Queue] = "cpu"

    domain: Name
    task: Name | None = None


class Retrain(Payload):
    """Queue the whole pipeline for one graph; gives `job`."""

    task_name: ClassVar[str] = "korvai.retrain"
    queue: ClassVar[Queue] = "io"

    domain: Name
    task: Name | None = None
    recipe: Name = "graphclip"
    preset: Name | None = None
    """None: the one named after the domain, else the recipe's best."""
    config: dict[str, JsonValue] = {}
    """Overrides of the preset."""
    vision_encoder: EncoderSpec | None = None
    """None: as the settings of whoever queues it say."""


class RetrainActive(Payload):
    """Queue the pipeline for every graph and task that has an active set, as beat does each night; gives `jobs`."""

    task_name: ClassVar[str] = "korvai.retrain_active"
    queue: ClassVar[Queue] = "io"


PIPELINE: tuple[type[Payload], ...] = (Pull, EncodeTexts, EncodeImages, Train, Evaluate, Publish, Refresh)
"""The steps of a retraining, in order."""


def parse(contract: type[_P], parts: Sequence[Any]) -> _P:
    """Merge what the step before returned with the step's own arguments, and check the result.

    Raises: PayloadError in one line; such a task is rejected once and never tried again.
    """
    merged: dict[str, Any] = {}
    for part in parts:
        if not isinstance(part, Mapping):
            raise PayloadError(
                f"{contract.task_name}: takes objects, was given {type(part).__name__} {str(part)[:80]!r}"
            )
        merged.update(part)
    if (found := merged.get("version", PAYLOAD_VERSION)) != PAYLOAD_VERSION:
        raise PayloadError(
            f"{contract.task_name}: the task was queued by another version of Korvai "
            f"(payload {str(found)[:20]!r}, this is {PAYLOAD_VERSION}); queue it again"
        )
    try:
        return contract.model_validate(merged)
    except ValidationError as error:
        raise PayloadError(f"{contract.task_name}: {_problems(error)}") from error


def _problems(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}, was given {str(problem['input'])[:80]!r}"
        for problem in error.errors(include_url=False)
    )
