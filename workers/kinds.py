"""Which jobs can be asked for, by whom ever, and of which steps does each consist?

A request is checked here and nowhere else: the command line, beat, and a Job that a curator wrote in Neo4j Browser all
come through `request_of` and `plan_of`. On the node `graph`, `task`, `recipe`, `statement` and `text` are properties of
their own, everything else is an object in `params`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from cypher import StatementFileError, load
from kg.errors import PayloadError
from kg.schema import TEXT_TASK, domain_names, load_domain
from kg.settings import Settings
from workers import contracts as c

__all__ = ["KINDS", "ON_THE_NODE", "Request", "Retrain", "plan_of", "request_of"]

ON_THE_NODE = ("graph", "task", "recipe", "statement", "text")


class Request(BaseModel):
    """What is asked for; a subclass is one kind of job."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str]
    alone: ClassVar[str | None] = None
    """What two jobs must never do to one graph at once."""

    graph: c.Name
    task: c.Name | None = None

    def steps(self, settings: Settings) -> Iterator[c.Payload]:
        """The steps in order, each with what is known of its arguments now."""
        raise NotImplementedError


class Classify(Request):
    """Propose classes for the images that a saved read statement names."""

    kind: ClassVar[str] = "classify"

    statement: c.StatementName = "images/unclassified"
    limit: int = Field(1_000_000, ge=1)
    at_least: float = Field(0.0, ge=0.0, le=1.0)
    values: dict[str, JsonValue] = {}

    def steps(self, settings: Settings) -> Iterator[c.Payload]:  # noqa: ARG002
        _readable(self.statement)
        named = {"statement": self.statement, "limit": self.limit, "at_least": self.at_least, "values": self.values}
        yield c.Classify(**_place(self), **named)


class Refresh(Request):
    """New class vectors of the graph as it is."""

    kind: ClassVar[str] = "refresh"
    alone: ClassVar[str | None] = "refresh"

    def steps(self, settings: Settings) -> Iterator[c.Payload]:  # noqa: ARG002
        yield c.Refresh(**_place(self))


class _OfARecipe(Request):
    recipe: c.Name = "graphclip"
    preset: c.Name | None = None
    config: dict[str, JsonValue] = {}
    vision_encoder: c.EncoderSpec | None = None

    def _recipe(self, settings: Settings) -> dict[str, Any]:
        # The encoder is said here once: workers whose own settings differ must not encode for one run in two ways.
        vision = self.vision_encoder or settings.vision_encoder
        task = _place(self)["task"]
        said = {"recipe": self.recipe, "preset": self.preset, "config": self.config, "vision_encoder": vision}
        return {"task": task, **said}


class Encode(_OfARecipe):
    """Bring the vectors that a recipe reads into the cache."""

    kind: ClassVar[str] = "encode"

    part_images: int = Field(2048, ge=1)
    """So many images make a job of their own, for any worker."""

    def steps(self, settings: Settings) -> Iterator[c.Payload]:
        yield c.Pull(**_place(self))
        recipe = self._recipe(settings)
        yield c.EncodeTexts.model_construct(**recipe)
        yield c.EncodeImages.model_construct(vision_encoder=recipe["vision_encoder"], part_images=self.part_images)


class Retrain(_OfARecipe):
    """Validate, pull, encode what is new, train, evaluate, gate, publish, refresh, classify what is unclassified."""

    kind: ClassVar[str] = "retrain"
    alone: ClassVar[str | None] = "retrain"

    gate: bool = True
    """False: publish whatever comes out."""
    classify: bool = True

    def steps(self, settings: Settings) -> Iterator[c.Payload]:
        place, recipe = _place(self), self._recipe(settings)
        yield c.Validate(domain=self.graph, require=True)
        yield c.Pull(**place)
        yield c.EncodeTexts.model_construct(**recipe)
        yield c.EncodeImages.model_construct(vision_encoder=recipe["vision_encoder"])
        yield c.Train.model_construct(**recipe)
        yield c.Evaluate.model_construct()
        if self.gate:
            yield c.Gate.model_construct()
        yield c.Publish.model_construct()
        yield c.Refresh(**place)  # of what was edited while it trained
        if self.classify:
            yield c.Classify(**place)


class Validate(Request):
    """Look for what is wrong with the graph."""

    kind: ClassVar[str] = "validate"

    def steps(self, settings: Settings) -> Iterator[c.Payload]:  # noqa: ARG002
        yield c.Validate(domain=_place(self)["domain"])


class Evaluate(Request):
    """Read a run's figures back."""

    kind: ClassVar[str] = "evaluate"

    run: c.Name

    def steps(self, settings: Settings) -> Iterator[c.Payload]:  # noqa: ARG002
        _place(self)
        yield c.Evaluate(run=self.run)


class Publish(Request):
    """Publish a finished run, as a shadow or through the gate."""

    kind: ClassVar[str] = "publish"

    run: c.Name
    shadow: bool = False
    gate: bool = False

    def steps(self, settings: Settings) -> Iterator[c.Payload]:  # noqa: ARG002
        _place(self)
        if self.gate and not self.shadow:
            yield c.Gate(run=self.run)
            yield c.Publish(run=self.run)
        else:
            yield c.Publish(run=self.run, shadow=self.shadow)


class Explain(Request):
    """Why an image has a class; `image` is a sha256 or an item's key."""

    kind: ClassVar[str] = "explain"

    image: c.ShortText
    class_key: c.ShortText | None = Field(None, alias="class")

    def steps(self, settings: Settings) -> Iterator[c.Payload]:  # noqa: ARG002
        yield c.Explain(**_place(self), image=self.image, class_key=self.class_key)


class Search(Request):
    """Images that a text means, by the active set of task `text`."""

    kind: ClassVar[str] = "search"

    text: c.SearchText
    k: int = Field(10, ge=1, le=200)

    def steps(self, settings: Settings) -> Iterator[c.Payload]:  # noqa: ARG002
        if not self.text.strip():
            raise PayloadError(
                "job search: the text is empty; say what is to be seen, such as 'red body, green border'"
            )
        if self.task not in (None, TEXT_TASK):
            raise PayloadError(f"job search: task {self.task!r} has no texts; leave it out")
        yield c.Search(domain=_place(self)["domain"], text=self.text, k=self.k)


KINDS: Mapping[str, type[Request]] = {
    kind.kind: kind for kind in (Classify, Refresh, Retrain, Validate, Evaluate, Explain, Encode, Publish, Search)
}


def request_of(said: Mapping[str, Any]) -> Request:
    """What a job's properties ask for; unknown properties of the node are a curator's own business.

    Raises: PayloadError in one line.
    """
    kind = said.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise PayloadError(f"job: no kind {str(kind)[:40]!r}; there are {', '.join(KINDS)}")
    unread = {"text"} - set(KINDS[kind].model_fields)  # such a property is a curator's own note
    wanted = {name: said[name] for name in ON_THE_NODE if said.get(name) is not None and name not in unread}
    params = _params(kind, said.get("params"))
    if twice := sorted(set(wanted) & set(params)):
        raise PayloadError(f"job {kind}: {twice[0]!r} is said twice, as a property and in params; drop one")
    try:
        return KINDS[kind].model_validate({**params, **wanted})
    except ValidationError as error:
        raise PayloadError(f"job {kind}: {c.problems(error)}") from error


def plan_of(settings: Settings, request: Request) -> list[dict[str, Any]]:
    """The steps as they are kept on the node: `step` and `args`, plain JSON.

    Raises: PayloadError, SchemaViolation (unknown graph or task).
    """
    return [
        {"step": c.step_name(step), "args": step.model_dump(mode="json", exclude_unset=True, warnings=False)}
        for step in request.steps(settings)
    ]


def _params(kind: str, text: Any) -> dict[str, Any]:
    if text is None or text == "":
        return {}
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise PayloadError(
            f"job {kind}: params is {str(text)[:80]!r}, must be an object in JSON, such as '{{\"limit\": 100}}'"
        )
    return found


def _place(request: Request) -> dict[str, Any]:
    """Domain and task. Raises: PayloadError (unknown graph), SchemaViolation (unknown task)."""
    # By name only: load_domain also takes a file's path, which is not for those who only write to the graph.
    if request.graph not in domain_names():
        raise PayloadError(f"graph {request.graph!r}: no such graph; known: {', '.join(domain_names())}")
    domain = load_domain(request.graph)
    config = getattr(request, "config", {})
    task = request.task or config.get("task") or next(iter(domain.tasks))
    return {"domain": request.graph, "task": domain.task_name(task)}


def _readable(name: str) -> None:
    try:
        statement = load(name)
    except StatementFileError as error:
        raise PayloadError(f"job classify: statement {error}") from error
    columns = {field.name for field in statement.returns}
    if statement.access != "read" or "image_id" not in columns:
        what = f"it is a {statement.access} statement" if statement.access != "read" else "it has no column image_id"
        raise PayloadError(f"job classify: statement {name}: {what}; take images/unclassified, or another that reads")
