"""Which work can a worker do? Each task checks its arguments, opens what it needs, calls kg or training, gives ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from celery import Task, shared_task

from kg.errors import KorvaiError
from kg.graph import Graph
from kg.publishing.activation import find_active_set
from kg.schema import domain_names, load_domain
from kg.snapshots.snapshot import Snapshot, find_snapshot
from kg.snapshots.snapshot import pull as pull_snapshot
from kg.validation import require_valid
from training import run as runs
from training.choosing import fit_to_encoders
from training.features import StoredFeatures
from training.registry import RecipeConfig
from workers import contracts, queue
from workers.context import opened, retrying, settings
from workers.contracts import parse

__all__ = [
    "encode_images",
    "encode_texts",
    "evaluate",
    "publish",
    "pull",
    "refresh",
    "retrain",
    "retrain_active",
    "train",
]

Ids = dict[str, Any]


def _task(contract: type[contracts.Payload]) -> Callable[[Callable[..., Ids]], Task]:
    """A task that does what `contract` says; our own errors are its answer, one line in the log and not a traceback."""
    return shared_task(name=contract.task_name, bind=True, throws=(KorvaiError,))


@_task(contracts.Pull)
def pull(self: Task, *parts: Any) -> Ids:
    """See the contract, as for every task below."""
    args = parse(contracts.Pull, parts)
    with retrying(self), opened(self) as work:
        domain = load_domain(args.domain)
        task, _ = domain.task(args.task)
        require_valid(work.graph, domain, reporter=work.reporter)
        snapshot = pull_snapshot(work.graph, domain, work.store, reporter=work.reporter, task=task)
    return {"snapshot": snapshot.path.name}


@_task(contracts.EncodeTexts)
def encode_texts(self: Task, *parts: Any) -> Ids:
    args = parse(contracts.EncodeTexts, parts)
    with retrying(self), opened(self) as work:
        snapshot = find_snapshot(work.store, args.snapshot)
        features = StoredFeatures(work.store, image_spec=args.vision_encoder, reporter=work.reporter)
        here = work.settings.text_encoder
        config = fit_to_encoders(_config(args, snapshot), features, work.reporter, text_encoder=here)
        runs.encode_texts(snapshot, features, config)
    return {"snapshot": args.snapshot}


@_task(contracts.EncodeImages)
def encode_images(self: Task, *parts: Any) -> Ids:
    args = parse(contracts.EncodeImages, parts)
    with retrying(self), opened(self) as work:
        features = StoredFeatures(work.store, image_spec=args.vision_encoder, reporter=work.reporter)
        runs.encode_images(find_snapshot(work.store, args.snapshot), features)
    return {"snapshot": args.snapshot}


@_task(contracts.Train)
def train(self: Task, *parts: Any) -> Ids:
    args = parse(contracts.Train, parts)
    with retrying(self), opened(self) as work:
        snapshot = find_snapshot(work.store, args.snapshot)
        here = work.settings.model_copy(update={"vision_encoder": args.vision_encoder})
        run = runs.train(snapshot, args.recipe, _config(args, snapshot), here, work.reporter)
    return {"run": run.folder.name}


@_task(contracts.Evaluate)
def evaluate(self: Task, *parts: Any) -> Ids:
    args = parse(contracts.Evaluate, parts)
    with retrying(self), opened(self) as work:
        run = runs.open_run(work.settings, args.run, work.reporter)
        work.reporter.note(f"{args.run}: {run.metrics['splits']}")
    return {"run": args.run}


@_task(contracts.Publish)
def publish(self: Task, *parts: Any) -> Ids:
    args = parse(contracts.Publish, parts)
    with retrying(self), opened(self) as work:
        run = runs.open_run(work.settings, args.run, work.reporter)
        embedding_set = runs.publish_run(work.graph, work.settings, run, reporter=work.reporter)
    return {"embedding_set": embedding_set}


@_task(contracts.Refresh)
def refresh(self: Task, *parts: Any) -> Ids:
    args = parse(contracts.Refresh, parts)
    with retrying(self), opened(self) as work:
        embedding_set = runs.refresh(work.graph, work.settings, args.domain, args.task, reporter=work.reporter)
    return {"embedding_set": embedding_set}


@_task(contracts.Retrain)
def retrain(self: Task, *parts: Any) -> Ids:
    args = parse(contracts.Retrain, parts)
    with retrying(self):
        return {"job": queue.retrain(settings(), args)}


@_task(contracts.RetrainActive)
def retrain_active(self: Task, *parts: Any) -> Ids:
    parse(contracts.RetrainActive, parts)
    with retrying(self), opened(self) as work:
        return {"jobs": [queue.retrain(work.settings, wanted) for wanted in _active_tasks(work.graph)]}


def _active_tasks(graph: Graph) -> Iterator[contracts.Retrain]:
    for domain, task in ((name, task) for name in domain_names() for task in load_domain(name).tasks):
        if (active := find_active_set(graph, domain, task)) is not None:
            yield contracts.Retrain(domain=domain, task=task, recipe=active.recipe)


def _config(args: contracts.EncodeTexts | contracts.Train, snapshot: Snapshot) -> RecipeConfig:
    task, _ = snapshot.domain.task(args.task)
    config = runs.choose_config(
        args.recipe, snapshot.domain, preset=args.preset, overrides=args.config, text_encoder=settings().text_encoder
    )
    return config.model_copy(update={"task": task})
