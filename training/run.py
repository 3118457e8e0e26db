"""What happens between a graph and a published model: pull, encode, train, measure, publish, refresh?

Every step is keyed by content: the same snapshot, configuration and encoders find the same run folder, which is resumed
where it was left, or used as it is when it is finished. So each function may be stopped, repeated and queued at will.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from kg.errors import CheckpointMismatch, StoreError
from kg.graph import Graph
from kg.progress import Reporter, SilentReporter
from kg.publishing.publication import LevelVectors
from kg.publishing.publish import Publication, active_set, add_image_vectors, publish, refresh_set, version_id
from kg.schema import Domain, load_domain
from kg.settings import Settings
from kg.snapshots.snapshot import Snapshot, find_snapshot, pull
from kg.store import Store
from kg.validation import require_valid
from training.allocator import freed_memory_kept
from training.checkpoint import load_weights, save_checkpoint, seed_all
from training.choosing import choose_config, fit_to_encoders
from training.configuration import dump_config, merge_config
from training.engine import FitResult, fit
from training.features import StoredFeatures
from training.gating import judge_run
from training.refreshing import class_vectors, current_graph, image_side, keep_states, new_image_vectors, states_folder
from training.registry import RecipeConfig, get_recipe
from training.report import write_report
from training.run_folder import RunFolder
from training.run_text import learns_from_captions, measure_texts, publish_texts, text_summary
from training.threads import torch_threads

__all__ = [
    "RunResult",
    "choose_config",
    "encode",
    "encode_images",
    "encode_texts",
    "open_model",
    "open_run",
    "publish_run",
    "refresh",
    "retrain",
    "train",
    "unencoded_parts",
]

_WEIGHTS, _FROZEN = "weights.pt", "frozen_encoder"
_NAMED_AT_MOST = 5
_MODEL_FILES = ("config.yaml", "encoders.json", "state.json", _WEIGHTS)


@dataclass(frozen=True)
class RunResult:
    """A finished run: its folder, the recipe with its best weights, what was measured."""

    folder: RunFolder
    recipe: Any
    metrics: dict[str, Any]
    resumed: bool
    """True where the run was there already, finished, and nothing was trained."""


def encode(snapshot: Snapshot, settings: Settings, config: RecipeConfig, reporter: Reporter) -> dict[str, int]:
    """Bring every vector that a run of `config` needs into the cache; says how many images and texts there are."""
    features = _features(settings, reporter)
    config = fit_to_encoders(config, features, reporter, text_encoder=settings.text_encoder)
    return {"images": encode_images(snapshot, features), "texts": encode_texts(snapshot, features, config)}


def encode_images(snapshot: Snapshot, features: StoredFeatures, start: int = 0, stop: int | None = None) -> int:
    """Bring the vectors of images, all or some rows of them, into the cache; how many of them can be read."""
    return features.fill_images(snapshot, start, stop)


def unencoded_parts(snapshot: Snapshot, features: StoredFeatures, *, size: int) -> list[tuple[int, int]]:
    """Rows from-to of the images, at most `size` each, wherever one has no vector yet."""
    missing = features.missing_images(snapshot)
    starts = range(0, len(missing), size)
    return [(start, min(start + size, len(missing))) for start in starts if any(missing[start : start + size])]


def encode_texts(snapshot: Snapshot, features: StoredFeatures, config: RecipeConfig) -> int:
    """Bring the vectors of all nodes' texts into the cache, by each of the configuration's encoders; how many texts."""
    found = [features.texts(snapshot, name) for name in getattr(config, "text_features", ())]
    return sum(len(rows) for part in found[:1] for rows in part.values())


def train(
    snapshot: Snapshot,
    recipe_name: str,
    config: RecipeConfig,
    settings: Settings,
    reporter: Reporter | None = None,
    *,
    features: StoredFeatures | None = None,
) -> RunResult:
    """Train a recipe on a snapshot, measure it and write its report; goes on where an earlier call was stopped.

    Raises: EmptySplit, RecipeConfigError, LossDiverged, CheckpointMismatch, EncoderError, StoreError.
    """
    reporter = reporter or SilentReporter()
    store = Store(settings.store_dir)
    store.check_writable()
    features = features or _features(settings, reporter)
    config = fit_to_encoders(config, features, reporter, text_encoder=settings.text_encoder)
    recipe = _built(recipe_name, config, snapshot, features)
    _tell_unseen(recipe, reporter)
    folder = _folder_of(store, recipe_name, config, snapshot, features, recipe)
    if (metrics := folder.metrics()).get("finished"):
        _load_best(recipe, folder, metrics)
        reporter.note(f"run {folder.name}: finished before, nothing to train")
        return RunResult(folder, recipe, metrics, resumed=True)
    return _train(recipe, folder, features, store, reporter)


def _train(recipe: Any, folder: RunFolder, features: StoredFeatures, store: Store, reporter: Reporter) -> RunResult:
    started_s, config = time.monotonic(), recipe.config
    with torch_threads(getattr(config, "threads", None)), freed_memory_kept():
        fitted = fit(recipe, config, run_dir=folder.path, reporter=reporter)
    of_texts = learns_from_captions(recipe)
    metrics = (measure_texts if of_texts else _measure)(recipe, fitted, seconds=time.monotonic() - started_s)
    _write_model(folder, recipe, features)
    folder.write_metrics(metrics)
    domain = recipe.snapshot.domain
    if not of_texts:
        write_report(folder, recipe, metrics, store=store, title=domain.title or domain.domain)
    metrics = {**metrics, "finished": True}
    folder.write_metrics(metrics)
    reporter.note((text_summary if of_texts else _summary)(folder, metrics))
    return RunResult(folder, recipe, metrics, resumed=False)


def open_run(settings: Settings, name: str | Path, reporter: Reporter | None = None) -> RunResult:
    """A finished run by its folder or its name, with its best weights.

    Raises: StoreError, CheckpointMismatch.
    """
    store = Store(settings.store_dir)
    folder = RunFolder.open(Path(name) if Path(name).is_absolute() else store.runs / name)
    said, metrics = folder.snapshot(), folder.metrics()
    if not metrics.get("finished"):
        raise StoreError(f"run {folder.name} is not finished; start the same training again and it goes on")
    entry = get_recipe(said["recipe"])
    config = merge_config(entry.config_cls, preset=folder.config_file)
    features = StoredFeatures(
        store, image_spec=said["encoders"]["image"]["spec"], reporter=reporter, known=said["encoders"]
    )
    recipe = _built(said["recipe"], config, find_snapshot(store, said["content_hash"]), features)
    _load_best(recipe, folder, metrics)
    return RunResult(folder, recipe, metrics, resumed=True)


def publish_run(
    graph: Graph, settings: Settings, run: RunResult, *, reporter: Reporter | None = None, activate: bool = True
) -> str:
    """Write a run's class and image vectors into the graph and make them active; returns the embedding set's id.

    Class vectors come from the snapshot with all its edges; metrics came from the masked one.
    Raises: what `kg.publishing.publish.publish` raises.
    """
    from kg.encoders.tower import ImageTower, is_whole

    recipe, folder, store = run.recipe, run.folder, Store(settings.store_dir)
    if learns_from_captions(recipe):
        return publish_texts(graph, store, recipe, folder, reporter=reporter or SilentReporter(), activate=activate)
    snapshot: Snapshot = recipe.snapshot
    feat, readable = image_side(recipe).images(snapshot)
    ids = [sha256 for sha256, fine in zip(snapshot.images.sha256, readable, strict=True) if fine]
    matrix = recipe.image_matrix()
    tower_dir = folder.path / "tower"
    # A finished run's tower never changes; writing it again would pull it from under another publisher's copy.
    if not is_whole(tower_dir):
        projection = None if matrix is None else matrix.numpy()
        encoder = image_side(recipe).image_encoder()
        ImageTower(encoder, readings=recipe.readings(), projection=projection).save(tower_dir)
    class_vectors = recipe.encode_classes(snapshot)
    publication = Publication(
        domain=snapshot.domain,
        task=recipe.tasks[0],
        recipe=folder.snapshot()["recipe"],
        run_dir=folder.path,
        snapshot_hash=snapshot.content_hash,
        config=json.loads(recipe.config.model_dump_json()),
        metrics=_flat(run.metrics),
        dim=class_vectors.shape[1],
        scale=recipe.scale(),
        temperature=recipe.temperature,
        graph="live",
        class_keys=recipe.class_keys(snapshot),
        class_vectors=class_vectors.numpy(),
        levels=_levels(recipe, snapshot),
        image_ids=ids,
        image_vectors=recipe.encode_images(feat[readable]).numpy(),
        tower_dir=tower_dir,
        model_dir=folder.path / "model",
    )
    reporter = reporter or SilentReporter()
    set_id = publish(graph, store, publication, reporter=reporter, activate=activate)
    keep_states(recipe, snapshot, states_folder(store, version_id(publication)), reporter=reporter)
    return set_id


def refresh(
    graph: Graph, settings: Settings, domain: Domain | str, task: str | None = None, *, reporter: Reporter | None = None
) -> str:
    """Class vectors of the graph as it is now, by the active version's network; returns the new set's id.

    Only what changed since the published graph is computed again, where its states are kept; new images get vectors.
    Raises: NodeNotFound (nothing is published), StoreError, CheckpointMismatch (the domain changed), and publish's.
    """
    reporter, store = reporter or SilentReporter(), Store(settings.store_dir)
    domain = load_domain(domain) if isinstance(domain, str) else domain
    active = active_set(graph, domain, task)
    now = current_graph(graph, domain, store, task=domain.task(task)[0], published=active.snapshot, reporter=reporter)
    snapshot = now.snapshot
    recipe = open_model(store, active.version, snapshot, reporter)
    with reporter.stage("class vectors", snapshot.count(recipe.item_edge[2]), "classes") as advance:
        vectors = class_vectors(recipe, states_folder(store, active.version), now, reporter=reporter)
        advance(len(vectors))
    ids, image_vectors = new_image_vectors(recipe, now)
    if ids:
        add_image_vectors(graph, active.version, ids, image_vectors, store=store, reporter=reporter)
    return refresh_set(
        graph, active.version, recipe.class_keys(snapshot), vectors.numpy(), domain=domain, task=recipe.tasks[0],
        scale=active.scale, temperature=active.temperature, snapshot_hash=snapshot.content_hash, store=store,
        reporter=reporter, only_while_active=True, levels=_levels(recipe, snapshot),
    )  # fmt: skip


def open_model(store: Store, version: str, snapshot: Snapshot, reporter: Reporter) -> Any:
    """The recipe of a published version with its weights, from the store's artefacts alone."""
    folder = store.models / version
    if missing := [name for name in _MODEL_FILES if not (folder / "model" / name).is_file()]:
        raise StoreError(
            f"version {version}: {folder / 'model'} lacks {missing[0]}; set KORVAI_STORE to its store, or retrain"
        )
    state, known = (json.loads((folder / "model" / name).read_text()) for name in ("state.json", "encoders.json"))
    entry = get_recipe(state["recipe"])
    recipe = entry.cls(merge_config(entry.config_cls, preset=folder / "model" / "config.yaml"))
    frozen = folder / "model" / _FROZEN
    spec = frozen if frozen.is_dir() else folder / "tower" / "encoder"
    features = StoredFeatures(store, image_spec=str(spec), reporter=reporter, known=known)
    recipe.create(snapshot, features)
    try:
        load_weights(recipe.network(), folder / "model" / _WEIGHTS)
    except CheckpointMismatch as error:
        raise CheckpointMismatch(
            f"version {version}: its network does not fit {snapshot.domain.domain} as it is now; retrain ({error})"
        ) from error
    recipe.temperature = state["temperature"]
    return recipe


def retrain(
    graph: Graph,
    settings: Settings,
    domain: Domain | str,
    task: str | None = None,
    *,
    recipe_name: str = "graphclip",
    config: RecipeConfig | None = None,
    gate: bool = True,
    reporter: Reporter | None = None,
) -> tuple[RunResult, str]:
    """Validate, pull, encode, train, measure, gate, publish: the run and the id of its set. Safe to repeat.

    The set becomes the active one, or stays a shadow where the gate found the run worse than the active version.
    Raises: SchemaViolation where the graph breaks its schema (`korvai validate` names it all), and each step's errors.
    """
    reporter, store = reporter or SilentReporter(), Store(settings.store_dir)
    domain = load_domain(domain) if isinstance(domain, str) else domain
    config = config or choose_config(recipe_name, domain, text_encoder=settings.text_encoder)
    if learns_from_captions(get_recipe(recipe_name).cls):
        return _retrain_texts(graph, settings, domain, recipe_name=recipe_name, config=config, reporter=reporter)
    task = domain.task(task or getattr(config, "task", None) or next(iter(domain.tasks)))[0]
    config = config.model_copy(update={"task": task})
    require_valid(graph, domain, reporter=reporter)
    snapshot = pull(graph, domain, store, reporter=reporter, task=task)
    features = _features(settings, reporter)
    config = fit_to_encoders(config, features, reporter, text_encoder=settings.text_encoder)
    encode_images(snapshot, features)
    encode_texts(snapshot, features, config)
    run = train(snapshot, recipe_name, config, settings, reporter, features=features)
    passed = not gate or judge_run(graph, settings, run, reporter=reporter).passed
    set_id = publish_run(graph, settings, run, reporter=reporter, activate=passed)
    if not passed:
        reporter.warn(f"set {set_id} stays a shadow: the active version is better; `korvai promote {set_id}` if not")
    return run, set_id


def _retrain_texts(
    graph: Graph, settings: Settings, domain: Domain, *, recipe_name: str, config: RecipeConfig, reporter: Reporter
) -> tuple[RunResult, str]:
    """The same for a recipe without classes. Nothing gates it: the gate compares answers about classes."""
    require_valid(graph, domain, reporter=reporter)
    snapshot = pull(graph, domain, Store(settings.store_dir), reporter=reporter)
    run = train(snapshot, recipe_name, config, settings, reporter)
    return run, publish_run(graph, settings, run, reporter=reporter)


def _levels(recipe: Any, snapshot: Snapshot) -> tuple[LevelVectors, ...]:
    """Vectors of classes above the task's own, of a recipe that has levels."""
    return tuple(recipe.published_levels(snapshot)) if recipe.levels else ()


def _features(settings: Settings, reporter: Reporter) -> StoredFeatures:
    return StoredFeatures(Store(settings.store_dir), image_spec=settings.vision_encoder, reporter=reporter)


def _built(recipe_name: str, config: RecipeConfig, snapshot: Snapshot, features: StoredFeatures) -> Any:
    recipe = get_recipe(recipe_name).cls(config)
    seed_all(config.rng_seed)
    recipe.build(snapshot, features)
    return recipe


def _folder_of(
    store: Store, recipe_name: str, config: RecipeConfig, snapshot: Snapshot, features: StoredFeatures, recipe: Any
) -> RunFolder:
    """The folder of this very run: one that is there, or a new one with its splits frozen."""
    encoders = features.record()
    prints = {name: entry["fingerprint"] for name, entry in encoders.items()}
    named = json.dumps([recipe_name, dump_config(config), snapshot.content_hash, prints], sort_keys=True)
    key = hashlib.sha256(named.encode()).hexdigest()
    for path in sorted(store.runs.glob(f"*-{recipe_name}-*"), reverse=True):
        if _key_of(path) == key:
            return RunFolder.open(path)
    said = {
        "key": key,
        "recipe": recipe_name,
        "domain": snapshot.domain.domain,
        "content_hash": snapshot.content_hash,
        "encoders": encoders,
        "splits": recipe.frozen_splits(),
    }
    return RunFolder.create(store, recipe_name, config, snapshot=said)


def _tell_unseen(recipe: Any, reporter: Reporter) -> None:
    """Name the classes that nothing can be learnt of: fine when it is meant, and easily overlooked when not."""
    examples = getattr(recipe, "examples", None)
    if not hasattr(examples, "class_keys"):
        return
    alone = [key for row, key in enumerate(examples.class_keys) if row not in set(examples.class_row.tolist())]
    if alone:
        names = ", ".join(alone[:_NAMED_AT_MOST]) + (" …" if len(alone) > _NAMED_AT_MOST else "")
        reporter.warn(f"classes without an image, known by their relations and texts alone: {len(alone)} ({names})")


def _key_of(path: Path) -> str | None:
    try:
        return json.loads((path / "snapshot.json").read_text(encoding="utf-8")).get("key")
    except (OSError, ValueError):
        return None


def _measure(recipe: Any, fitted: FitResult, *, seconds: float) -> dict[str, Any]:
    """Temperature on valid, then every split's figures on the masked graph."""
    calibration = recipe.calibrate()
    splits = {split: recipe.evaluate(split) for split in ("valid", "gate", "test") if len(recipe.examples.of(split))}
    tested = "test" if "test" in splits else "valid"
    run = {key: value for key, value in asdict(fitted).items() if key not in ("history", "best_metrics")}
    return {
        "splits": splits,
        "calibration": calibration,
        "scale": recipe.scale(),
        "classes": {tested: recipe.report(tested).as_dict()},
        "run": {**run, "seconds": seconds, "torch": torch.__version__},
    }


def _load_best(recipe: Any, folder: RunFolder, metrics: dict[str, Any]) -> None:
    load_weights(recipe.network(), folder.path / "model" / _WEIGHTS)
    recipe.temperature = metrics["calibration"]["temperature"]


def _write_model(folder: RunFolder, recipe: Any, features: StoredFeatures) -> None:
    """All that `refresh` needs on another machine: configuration, encoders, weights."""
    model = folder.path / "model"
    model.mkdir(exist_ok=True)
    (model / "config.yaml").write_text(dump_config(recipe.config), encoding="utf-8")
    (model / "encoders.json").write_text(json.dumps(features.record(), indent=1, sort_keys=True), encoding="utf-8")
    said = {"recipe": folder.snapshot()["recipe"], "temperature": recipe.temperature}
    (model / "state.json").write_text(json.dumps(said, sort_keys=True), encoding="utf-8")
    if image_side(recipe) is not recipe.encoders:  # classes are made of what the frozen tower saw; it is not published
        features.image_encoder().save(model / _FROZEN)
    save_checkpoint(model / _WEIGHTS, {"module": recipe.network().state_dict()})


def _flat(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Figures as the graph keeps them: split_name -> number."""
    splits = metrics.get("splits", {})
    figures = {f"{split}_{name}": value for split, part in splits.items() for name, value in part.items()}
    return figures | dict(metrics.get("calibration", {}))


def _summary(folder: RunFolder, metrics: Mapping[str, Any]) -> str:
    splits = metrics["splits"]
    tested = splits.get("test") or splits["valid"]
    unseen = f", unseen {tested['unseen_top1']:.3f}" if "unseen_top1" in tested else ""
    return f"run {folder.name}: top-1 {tested['top1']:.3f}, macro F1 {tested['macro_f1']:.3f}{unseen} on new images"
