"""What is in a picture, what looks like an item, and which classes are there?"""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, File, HTTPException, Query, UploadFile
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from api.deps import DomainDep, GraphDep, ModelTurnsDep, SettingsDep, TaskDep
from api.limits import MAX_UPLOAD_MIB
from kg import classify
from kg.graph import Graph
from kg.scenes import asking
from kg.schema import Domain
from kg.settings import Settings

__all__ = ["Answer", "ClassInfo", "Classes", "Item", "Items", "Likely", "Shown", "ShownItem", "router"]

router = APIRouter(tags=["asking"])

NumberOfItems = Annotated[int, Query(ge=1, le=200, description="How many.")]


class _Named(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    class_: str = Field(alias="class", description="Key of the class node.")


class Likely(_Named):
    """One class of an answer."""

    probability: float = Field(description="Softmax over all classes of the task.")
    score: float = Field(description="Cosine of image and class.")


class Item(BaseModel):
    """One item of the graph, with its image that comes nearest."""

    item: str = Field(description="Key of the item.")
    image_id: str = Field(description="sha256 of the image; see /images.")
    score: float = Field(description="Cosine.")


class Items(BaseModel):
    """Items of the graph, nearest first."""

    graph: str
    task: str
    items: list[Item]


class Answer(BaseModel):
    """The likeliest classes of a picture, and what answered."""

    graph: str
    task: str
    version: str = Field(description="Model version.")
    embedding_set: str
    classes: list[Likely]
    similar: list[Item] = Field([], description="Items of the graph that look most like the picture.")
    typical: list[Item] = Field([], description="Items of the graph that look most like the likeliest class.")


class ClassInfo(_Named):
    """One class of a task."""

    items: int = Field(description="Items of the graph that are said to belong to it.")
    ranked: bool = Field(description="False: newer than the last publish or refresh; run `korvai refresh`.")


class Classes(BaseModel):
    """All classes of a task."""

    graph: str
    task: str
    classes: list[ClassInfo]


class ShownItem(BaseModel):
    """One item and which of the facts its scene meets."""

    item: str = Field(description="Key of the item.")
    image_id: str = Field(description="sha256 of the image; see /images.")
    met: list[str]
    missing: list[str]
    score: float = Field(description="Share of the facts that are met.")


class Shown(BaseModel):
    """Items that a text means."""

    graph: str
    facts: list[str] = Field([], description="What was searched for in scenes, as it was understood.")
    unknown: list[str] = Field([], description="Words left out: no scene uses them, or they relate no two things.")
    items: list[ShownItem] = Field([], description="By the facts of their scenes.")
    nearest: list[Item] = Field([], description="By the vectors of text and image.")
    found_by_both: list[str] = Field([], description="Items of both answers.")
    only_by_scenes: list[str] = []
    only_by_embeddings: list[str] = []
    notes: list[str] = Field([], description="Why one of the ways could not answer.")


@router.post("/classify")
async def classify_upload(
    file: Annotated[
        UploadFile, File(description=f"A picture of at most {MAX_UPLOAD_MIB} MiB: JPEG, PNG, WebP, TIFF …")
    ],
    domain: DomainDep,
    task: TaskDep,
    graph: GraphDep,
    settings: SettingsDep,
    turns: ModelTurnsDep,
    k: Annotated[int, Query(ge=1, le=1000, description="How many classes.")] = 5,
    similar: Annotated[int, Query(ge=0, le=200, description="How many items that look like the picture to add.")] = 0,
    typical: Annotated[int, Query(ge=0, le=200, description="How many items of the likeliest class to add.")] = 0,
) -> Answer:
    """The likeliest classes of a picture that need not be in the graph."""
    data = await file.read()
    if not data:
        raise HTTPException(422, "file: is empty; send a picture")
    return await turns.run(partial(_answer, graph, settings, data, domain, task, k=k, similar=similar, typical=typical))


@router.get("/similar/{item:path}")
def similar(item: str, domain: DomainDep, task: TaskDep, graph: GraphDep, k: NumberOfItems = 5) -> Items:
    """The other items of the graph whose images look most like the item's."""
    found = classify.similar_items(graph, domain, task, item, k)
    return Items(graph=domain.domain, task=task, items=_items(found))


@router.get("/search")
async def search(
    text: Annotated[str, Query(min_length=1, max_length=4000, description="peacock on pallu, red body, green border")],
    domain: DomainDep,
    graph: GraphDep,
    settings: SettingsDep,
    turns: ModelTurnsDep,
    by: Annotated[asking.Way, Query(description="Scene facts, vectors of text and image, or both.")] = "scenes",
    k: NumberOfItems = 10,
) -> Shown:
    """The items that a text means: by the facts of their scenes, by vectors, or both with the difference."""
    look = partial(asking.ask, graph, settings, domain, text, by=by, k=k)
    answer = await (run_in_threadpool(look) if by == "scenes" else turns.run(look))
    scenes = answer.scenes
    return Shown(
        graph=domain.domain,
        facts=list(scenes.facts) if scenes else [],
        unknown=list(scenes.unknown) if scenes else [],
        items=[ShownItem(**row._asdict()) for row in scenes.found] if scenes else [],
        nearest=_items(answer.nearest or []),
        notes=list(answer.notes),
        **_difference(answer) if by == "both" else {},
    )


@router.get("/classes")
def classes(domain: DomainDep, task: TaskDep, graph: GraphDep) -> Classes:
    """The classes of a task, how many items each has, and whether the model ranks it already."""
    found = [ClassInfo.model_validate(row) for row in classify.class_list(graph, domain, task)]
    return Classes(graph=domain.domain, task=task, classes=found)


@router.get("/classes/{key:path}/items")
def items_of_class(key: str, domain: DomainDep, task: TaskDep, graph: GraphDep, k: NumberOfItems = 5) -> Items:
    """The items of the graph that look most like a class, whatever class they are said to belong to."""
    found = classify.nearest_items(graph, domain, task, key, k)
    return Items(graph=domain.domain, task=task, items=_items(found))


def _answer(
    graph: Graph, settings: Settings, data: bytes, domain: Domain, task: str, *, k: int, similar: int, typical: int
) -> Answer:
    scores, alike = classify.classify_and_compare(graph, settings, data, domain=domain, task=task, k=k, similar=similar)
    best = classify.nearest_items(graph, domain, task, scores[0].class_key, typical) if typical else []
    return Answer(
        graph=domain.domain,
        task=task,
        version=scores[0].version,
        embedding_set=scores[0].embedding_set,
        classes=[Likely(class_=s.class_key, probability=s.probability, score=s.score) for s in scores],
        similar=_items(alike),
        typical=_items(best),
    )


def _difference(answer: asking.Answer) -> dict[str, list[str]]:
    return {name: getattr(answer, name) for name in ("found_by_both", "only_by_scenes", "only_by_embeddings")}


def _items(found: list[classify.Similar]) -> list[Item]:
    return [Item(item=one.item, image_id=one.image_id, score=one.score) for one in found]
