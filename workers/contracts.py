"""Which tasks can be asked for, and what does each take and give?

A task's name, its queue and its arguments are one frozen class here. A job is a plan of such steps on its node; what
travels through Redis is `Message`, a job's id and which of its steps is due. Ids and hashes go in, ids come out: what
earlier steps returned fills in what a step's own arguments leave open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError

from kg.errors import PayloadError

__all__ = [
    "PAYLOAD_VERSION",
    "QUEUES",
    "STEPS",
    "Classify",
    "EncodeImages",
    "EncodePart",
    "EncodeTexts",
    "EncoderSpec",
    "Evaluate",
    "Explain",
    "Gate",
    "Message",
    "Name",
    "Payload",
    "Publish",
    "Pull",
    "Queue",
    "Refresh",
    "Search",
    "SearchText",
    "ShortText",
    "StatementName",
    "Tick",
    "Train",
    "Validate",
    "parse",
    "problems",
    "step_name",
]

PAYLOAD_VERSION = 2
"""Raised when an argument changes its meaning; a task queued by another version is refused, never guessed at."""

Queue = Literal["cpu", "gpu", "io"]
QUEUES: tuple[Queue, ...] = ("cpu", "gpu", "io")
"""io: the database works; gpu: encoders and training, on an accelerator where the machine has one; cpu: the rest."""

# No name may lead out of the store or be mistaken for an option, hence no slash and no leading dot or dash.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,119}$")]
StatementName = Annotated[str, StringConstraints(pattern=r"^[a-z_]+/[a-z_]+$", max_length=80)]
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=200)]
SearchText = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
EncoderSpec = Annotated[str, StringConstraints(min_length=1, max_length=500)]
_P = TypeVar("_P", bound="Payload")


class Payload(BaseModel):
    """Arguments of one task; a subclass names the task and the queue that it goes to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task_name: ClassVar[str]
    queue: ClassVar[Queue]

    version: Literal[2] = PAYLOAD_VERSION


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
    """Encode the images that the cache does not have; gives `images`.

    Where they are more than one part, the parts become jobs that any worker may take, and the step goes on after them.
    """

    task_name: ClassVar[str] = "korvai.encode_images"
    queue: ClassVar[Queue] = "gpu"

    snapshot: Name
    vision_encoder: EncoderSpec
    part_images: int = Field(2048, ge=1)


class EncodePart(Payload):
    """Encode some of a snapshot's images, by their rows; gives `images`."""

    task_name: ClassVar[str] = "korvai.encode_part"
    queue: ClassVar[Queue] = "gpu"

    snapshot: Name
    vision_encoder: EncoderSpec
    start: int = Field(ge=0)
    stop: int = Field(ge=1)


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
    """Write a run's vectors into the graph and, unless it is a shadow, make the set active; gives `embedding_set`."""

    task_name: ClassVar[str] = "korvai.publish"
    queue: ClassVar[Queue] = "io"

    run: Name
    shadow: bool = False


class Refresh(Payload):
    """Give the classes as they are in the graph now new vectors of the active version; gives `embedding_set`."""

    task_name: ClassVar[str] = "korvai.refresh"
    queue: ClassVar[Queue] = "cpu"

    domain: Name
    task: Name | None = None


class Validate(Payload):
    """Ask every check of the graph; gives `errors`, `warnings` and the first lines of both.

    With `require`, errors end the job.
    """

    task_name: ClassVar[str] = "korvai.validate"
    queue: ClassVar[Queue] = "io"

    domain: Name
    require: bool = False


class Gate(Payload):
    """Compare a run with the active version on the gate split; gives `shadow`, true where it must not become active."""

    task_name: ClassVar[str] = "korvai.gate"
    queue: ClassVar[Queue] = "gpu"

    run: Name


class Classify(Payload):
    """Give images without a vector one, then propose a class for items without; gives how many of each."""

    task_name: ClassVar[str] = "korvai.classify"
    queue: ClassVar[Queue] = "gpu"

    domain: Name
    task: Name | None = None
    statement: StatementName = "images/unclassified"
    """A saved read statement; its column `image_id` says which images."""
    limit: int = Field(1_000_000, ge=1)
    at_least: float = Field(0.0, ge=0.0, le=1.0)
    values: dict[str, JsonValue] = {}
    """Further parameters of the statement."""


class Explain(Payload):
    """Write the reasons for an image's class into the graph; gives `explanation` and `sentence`."""

    task_name: ClassVar[str] = "korvai.explain"
    queue: ClassVar[Queue] = "cpu"

    domain: Name
    task: Name | None = None
    image: ShortText
    class_key: ShortText | None = None


class Search(Payload):
    """Find the images that a text means and tie them to the job: `(:Job)-[:FOUND {rank, score}]->(:Image)`.

    Gives `found` and the `model` that answered.
    """

    task_name: ClassVar[str] = "korvai.search"
    queue: ClassVar[Queue] = "gpu"

    domain: Name
    text: SearchText
    k: int = Field(10, ge=1, le=200)


class Tick(Payload):
    """Beat's: start what an entry of the schedule asks for, or write down why not. It belongs to no job, it makes them.

    The jobs' ids follow from entry and hour, so that a tick that comes twice makes them once.
    """

    task_name: ClassVar[str] = "korvai.tick"
    queue: ClassVar[Queue] = "io"

    entry: Name


class Message(Payload):
    """What travels through the broker: which step of which job is due. It may get lost, or come twice."""

    job: ShortText
    step: int = Field(ge=0, le=100)


STEPS: Mapping[str, type[Payload]] = {
    contract.task_name.removeprefix("korvai."): contract
    for contract in (
        Validate, Pull, EncodeTexts, EncodeImages, EncodePart, Train, Evaluate, Gate, Publish, Refresh, Classify,
        Explain, Search,
    )
}  # fmt: skip
"""Everything a plan may consist of."""


def step_name(contract: type[Payload] | Payload) -> str:
    """What a step is called in plans, logs and tables."""
    return contract.task_name.removeprefix("korvai.")


def parse(contract: type[_P], parts: Sequence[Any]) -> _P:
    """Merge what the step before returned with the step's own arguments, and check the result.

    Raises: PayloadError in one line; such a task is rejected once and never tried again.
    """
    merged: dict[str, Any] = {}
    for part in parts:
        if not isinstance(part, Mapping):
            raise PayloadError(
                f"{_called(contract)}: takes objects, was given {type(part).__name__} {str(part)[:80]!r}"
            )
        merged.update(part)
    if (found := merged.get("version", PAYLOAD_VERSION)) != PAYLOAD_VERSION:
        raise PayloadError(
            f"{_called(contract)}: the task was queued by another version of Korvai "
            f"(payload {str(found)[:20]!r}, this is {PAYLOAD_VERSION}); queue it again"
        )
    try:
        return contract.model_validate(merged)
    except ValidationError as error:
        raise PayloadError(f"{_called(contract)}: {problems(error)}") from error


def _called(contract: type[Payload]) -> str:
    return getattr(contract, "task_name", "korvai message")


def problems(error: ValidationError) -> str:
    """What is wrong, in one line."""
    return "; ".join(
        f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}, was given {str(problem['input'])[:80]!r}"
        for problem in error.errors(include_url=False)
    )
