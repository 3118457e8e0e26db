"""Which work can a worker do? Each step gets checked arguments, calls kg or training, and gives ids and counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from celery import Task, shared_task

from kg.classify import similar_to_text
from kg.curation.filling import classify_new
from kg.errors import KorvaiError, SchemaViolation
from kg.schema import load_domain
from kg.snapshots.snapshot import Snapshot, find_snapshot
from kg.snapshots.snapshot import pull as pull_snapshot
from kg.validation import require_valid
from kg.validation import validate as ask_checks
from training import run as runs
from training.choosing import fit_to_encoders
from training.features import StoredFeatures
from training.gating import judge_run
from training.registry import RecipeConfig
from workers import contracts
from workers.context import Workplace
from workers.parts import Parts
from workers.running import run_step

__all__ = [
    "classify",
    "encode_images",
    "encode_part",
    "encode_texts",
    "evaluate",
    "explain",
    "gate",
    "publish",
    "pull",
    "refresh",
    "search",
    "train",
    "validate",
]

Ids = dict[str, Any]
_P = TypeVar("_P", bound=contracts.Payload)
_NAMED = 5


def _step(contract: type[_P]) -> Callable[[Callable[[Workplace, _P], Ids | Parts]], Task]:
    """A task that does what `contract` says for the job that its message names."""

    def register(work: Callable[[Workplace, _P], Ids | Parts]) -> Task:
        def task(*parts: Any) -> None:
            run_step(contract, work, parts)

        task.__name__, task.__doc__ = work.__name__, contract.__doc__
        return shared_task(name=contract.task_name, throws=(KorvaiError,), ignore_result=True)(task)

    return register


@_step(contracts.Validate)
def validate(work: Workplace, args: contracts.Validate) -> Ids:
    """See the contract, as for every step below."""
    if args.require:
        require_valid(work.graph, args.domain, reporter=work.reporter)
        return {}
    report = ask_checks(work.graph, args.domain, work.store, reporter=work.reporter)
    said = [finding.line() for finding in (*report.errors, *report.warnings)]
    return {"errors": len(report.errors), "warnings": len(report.warnings), "findings": said[:_NAMED]}


@_step(contracts.Pull)
def pull(work: Workplace, args: contracts.Pull) -> Ids:
    domain = load_domain(args.domain)
    task, _ = domain.task(args.task)
    snapshot = pull_snapshot(work.graph, domain, work.store, reporter=work.reporter, task=task)
    return {"snapshot": snapshot.path.name}


@_step(contracts.EncodeTexts)
def encode_texts(work: Workplace, args: contracts.EncodeTexts) -> Ids:
    snapshot = find_snapshot(work.store, args.snapshot)
    features = StoredFeatures(work.store, image_spec=args.vision_encoder, reporter=work.reporter)
    config = _config(work, args, snapshot)
    config = fit_to_encoders(config, features, work.reporter, text_encoder=work.settings.text_encoder)
    return {"texts": runs.encode_texts(snapshot, features, config)}


@_step(contracts.EncodeImages)
def encode_images(work: Workplace, args: contracts.EncodeImages) -> Ids | Parts:
    features = _encoding(work, args.vision_encoder)
    snapshot = find_snapshot(work.store, args.snapshot)
    # What is still missing after its parts are images that cannot be read; they are told once more, and left out.
    parts = [] if work.shared else runs.unencoded_parts(snapshot, features, size=args.part_images)
    if len(parts) > 1:
        common = {"snapshot": args.snapshot, "vision_encoder": args.vision_encoder}
        return Parts({f"{start}": contracts.EncodePart(**common, start=start, stop=stop) for start, stop in parts})
    return {"images": runs.encode_images(snapshot, features)}


@_step(contracts.EncodePart)
def encode_part(work: Workplace, args: contracts.EncodePart) -> Ids:
    features = _encoding(work, args.vision_encoder)
    snapshot = find_snapshot(work.store, args.snapshot)
    return {"images": runs.encode_images(snapshot, features, args.start, args.stop)}


@_step(contracts.Train)
def train(work: Workplace, args: contracts.Train) -> Ids:
    snapshot = find_snapshot(work.store, args.snapshot)
    here = work.settings.model_copy(update={"vision_encoder": args.vision_encoder})
    run = runs.train(snapshot, args.recipe, _config(work, args, snapshot), here, work.reporter)
    return {"run": run.folder.name}


@_step(contracts.Evaluate)
def evaluate(work: Workplace, args: contracts.Evaluate) -> Ids:
    run = runs.open_run(work.settings, args.run, work.reporter)
    return {"run": args.run, "figures": run.metrics["splits"]}


@_step(contracts.Gate)
def gate(work: Workplace, args: contracts.Gate) -> Ids:
    run = runs.open_run(work.settings, args.run, work.reporter)
    verdict = judge_run(work.graph, work.settings, run, reporter=work.reporter)
    return {"shadow": not verdict.passed, "gate": verdict.as_dict()}


@_step(contracts.Publish)
def publish(work: Workplace, args: contracts.Publish) -> Ids:
    run = runs.open_run(work.settings, args.run, work.reporter)
    embedding_set = runs.publish_run(work.graph, work.settings, run, reporter=work.reporter, activate=not args.shadow)
    return {"shadow_set" if args.shadow else "embedding_set": embedding_set}


@_step(contracts.Refresh)
def refresh(work: Workplace, args: contracts.Refresh) -> Ids:
    return {"embedding_set": runs.refresh(work.graph, work.settings, args.domain, args.task, reporter=work.reporter)}


@_step(contracts.Classify)
def classify(work: Workplace, args: contracts.Classify) -> Ids:
    wanted = {"statement": args.statement, "limit": args.limit, "at_least": args.at_least, "values": args.values}
    done = classify_new(
        work.graph, work.store, load_domain(args.domain), task=args.task, reporter=work.reporter, **wanted
    )
    return done.as_dict()


@_step(contracts.Explain)
def explain(work: Workplace, args: contracts.Explain) -> Ids:
    from training.explain.answering import explain as answer
    from training.threads import torch_threads

    with torch_threads(1):
        found = answer(
            work.graph, work.settings, args.image, domain=args.domain, task=args.task, class_key=args.class_key,
            reporter=work.reporter,
        )  # fmt: skip
    if not found.kept:
        raise SchemaViolation(f"explaining {args.image[:60]!r}: no image of the graph; give a sha256 or an item's key")
    return {"explanation": found.explanation.id, "sentence": found.explanation.sentence}


@_step(contracts.Search)
def search(work: Workplace, args: contracts.Search) -> Ids:
    found = similar_to_text(work.graph, work.settings, args.text, domain=args.domain, k=args.k)
    rows = [{"image_id": one.image_id, "rank": rank, "score": one.score} for rank, one in enumerate(found, 1)]
    work.graph.run("jobs/write_found", job=work.job, rows=rows)
    return {"found": len(rows), "model": found[0].version if found else None}


def _encoding(work: Workplace, encoder: str) -> StoredFeatures:
    return StoredFeatures(work.store, image_spec=encoder, reporter=work.reporter, keep_encoder=True)


def _config(work: Workplace, args: contracts.EncodeTexts | contracts.Train, snapshot: Snapshot) -> RecipeConfig:
    task, _ = snapshot.domain.task(args.task)
    config = runs.choose_config(
        args.recipe, snapshot.domain, preset=args.preset, overrides=args.config, text_encoder=work.settings.text_encoder
    )
    return config.model_copy(update={"task": task})
