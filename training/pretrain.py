"""How is the checkpoint that ships made: rendered, trained for an hour or more in the background, exported?

python -m training.pretrain render --cache DIR --shards 48      # the training pool; may run beside the training
python -m training.pretrain vocabulary --cache DIR              # once, before training: the tokenizer
python -m training.pretrain train --cache DIR --max-steps 5000  # killed and started again, it goes on where it was
python -m training.pretrain export --cache DIR                  # the best weights so far, in half precision
python -m training.pretrain measure                             # accuracies and rates of what was exported
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import platformdirs
import torch

from kg.encoders.korvai_small import CONFIG_FILE, MERGES_FILE, WEIGHTS_FILE
from kg.errors import KorvaiError
from kg.progress import Advance
from training.bpe import learn_merges, write_merges
from training.checkpoint import BEST, LAST, load_checkpoint, seed_all
from training.configuration import dump_config, merge_config, parse_overrides
from training.engine import fit
from training.phrases import phrase_corpus
from training.pool import SHARD_IMAGES, Pool, render_shard
from training.recipes.contrastive import Config, Contrastive, Pools

__all__ = ["export", "main", "model_config"]

MODEL_DIR = Path(__file__).resolve().parents[1] / "data" / "checkpoint" / "korvai-small"
_EXPORT_PREFIX = "clip."


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the steps above; the value is the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.step(arguments)
    except KorvaiError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def model_config(vocab_size: int) -> dict[str, Any]:
    """open_clip's description of the model: our vision transformer, a text transformer of three layers."""
    return {
        "model_cfg": {
            "embed_dim": 256,
            "custom_text": True,
            "vision_cfg": {
                "image_size": 112,
                "timm_model_name": "korvai_vit_112",
                "timm_model_pretrained": False,
                "timm_pool": "avg",
                "timm_proj": "linear",
            },
            "text_cfg": {
                "context_length": 64,
                "vocab_size": vocab_size,
                "width": 192,
                "heads": 3,
                "layers": 3,
                "tokenizer_kwargs": {"bpe_path": MERGES_FILE},
            },
        },
        "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"},
    }


def export(checkpoint: Path, folder: Path) -> dict[str, Any]:
    """Write the model of an engine checkpoint into `folder` in half precision, without the training aids."""
    from safetensors.torch import save_file

    state = load_checkpoint(checkpoint)
    weights = {
        name.removeprefix(_EXPORT_PREFIX): tensor.half().contiguous() if tensor.is_floating_point() else tensor
        for name, tensor in state["module"].items()
        if name.startswith(_EXPORT_PREFIX)
    }
    step = state["step"] if "step" in state else state["position"]["step"]
    temporary = folder / f".{WEIGHTS_FILE}.tmp"
    save_file(weights, temporary, metadata={"format": "pt", "steps": str(step)})
    temporary.chmod(0o644)
    temporary.replace(folder / WEIGHTS_FILE)
    return {"step": step, "metrics": state.get("metrics", {})}


def _render(arguments: argparse.Namespace) -> None:
    reporter = _Lines()
    for number in range(arguments.valid_shards):
        render_shard(Pool(arguments.cache / "valid"), number, purpose="checkpoint_valid", reporter=reporter)
    for number in range(arguments.first, arguments.shards):
        render_shard(Pool(arguments.cache / "train"), number, purpose="checkpoint", reporter=reporter)


def _vocabulary(arguments: argparse.Namespace) -> None:
    shard = Pool(arguments.cache / "train").shards()[0]
    captions = [text for each in shard.captions + shard.object_captions for text in each]
    arguments.model_dir.mkdir(parents=True, exist_ok=True)
    merges = learn_merges([*phrase_corpus(), *captions], merges=arguments.merges)
    size = write_merges(merges, arguments.model_dir / MERGES_FILE)
    (arguments.model_dir / CONFIG_FILE).write_text(json.dumps(model_config(size), indent=2) + "\n")
    _say(f"{len(merges)} merges, {size} tokens, from {len(captions)} captions -> {arguments.model_dir}")


def _train(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    overrides = parse_overrides(arguments.set) | {"captions": arguments.captions}
    if arguments.max_steps:
        overrides["max_steps"] = arguments.max_steps
    config = merge_config(Config, overlay=arguments.config, overrides=overrides)
    run_dir = _run_dir(arguments)
    run_dir.mkdir(parents=True, exist_ok=True)
    (run_dir / "config.yaml").write_text(dump_config(config))
    recipe = Contrastive(config)
    seed_all(config.rng_seed)
    recipe.build(Pools(Pool(arguments.cache / "train"), Pool(arguments.cache / "valid"), arguments.model_dir))
    if arguments.init:
        recipe.module().load_state_dict(load_checkpoint(arguments.init)["module"], strict=False)
    result = fit(recipe, config, run_dir=run_dir, reporter=_Lines(batch_size=config.batch_size))
    _say(f"{result.stopped} at step {result.steps}: best {result.best_metrics} at step {result.best_step}")


def _export(arguments: argparse.Namespace) -> None:
    done = export(_run_dir(arguments) / "checkpoints" / (LAST if arguments.last else BEST), arguments.model_dir)
    size_mb = (arguments.model_dir / WEIGHTS_FILE).stat().st_size / 1e6
    _say(
        f"step {done['step']}, {size_mb:.1f} MB -> {arguments.model_dir / WEIGHTS_FILE}\n"
        f"{json.dumps(done['metrics'], indent=1)}"
    )


def _measure(arguments: argparse.Namespace) -> None:
    from training.metrics.attributes import measure_checkpoint

    _say(json.dumps(measure_checkpoint(arguments.model_dir, images=arguments.images), indent=1))


def _run_dir(arguments: argparse.Namespace) -> Path:
    return arguments.cache / f"run-{arguments.captions}{arguments.run}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.pretrain", description=__doc__.splitlines()[0])
    steps = parser.add_subparsers(required=True, metavar="render | vocabulary | train | export | measure")
    render = _step(steps, "render", _render, "draw the pool that training reads")
    render.add_argument(
        "--first", type=int, default=0, help="first shard to draw (several processes may share the work)"
    )
    render.add_argument("--shards", type=int, default=48, help=f"shards of {SHARD_IMAGES} images to have in the end")
    render.add_argument("--valid-shards", type=int, default=1, help="validation shards")
    vocabulary = _step(
        steps, "vocabulary", _vocabulary, "learn the tokenizer from captions, write the model's configuration"
    )
    vocabulary.add_argument("--merges", type=int, default=1200, help="at most so many merges")
    train = _step(steps, "train", _train, "train, or go on training")
    train.add_argument("--max-steps", type=int, help="planned steps; on resume the cosine is re-planned to end there")
    train.add_argument("--init", type=Path, help="start a new run from the weights of this checkpoint")
    train.add_argument("--threads", type=int, default=2, help="CPU threads")
    train.add_argument("--config", type=Path, help="YAML overlay over the recipe's defaults")
    train.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one setting; may be repeated")
    export_step = _step(steps, "export", _export, "write the best weights so far into the model folder")
    export_step.add_argument(
        "--last", action="store_true", help="the latest weights instead of the best validated ones"
    )
    measure = _step(steps, "measure", _measure, "accuracies per attribute, clusters by attribute matching, images/s")
    measure.add_argument("--images", type=int, default=1020, help="images a measurement")
    return parser


def _step(steps: Any, name: str, run: Any, about: str) -> argparse.ArgumentParser:
    parser = steps.add_parser(name, help=about, description=about)
    cache = Path(platformdirs.user_cache_path("korvai")) / "checkpoint"
    parser.add_argument("--cache", type=Path, default=cache, help=f"pool and run folder (default {cache})")
    parser.add_argument("--model-dir", type=Path, default=MODEL_DIR, help="folder of configuration, merges and weights")
    parser.add_argument("--captions", choices=("attributes", "objects"), default="attributes", help="kind of captions")
    parser.add_argument("--run", default="", help="suffix of the run folder, to keep several")
    parser.set_defaults(step=run)
    return parser


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class _Lines:
    """A reporter for logs: a line every 30 seconds."""

    def __init__(self, *, batch_size: int = 1) -> None:
        self.batch_size = batch_size

    @contextmanager
    def stage(self, name: str, total: int | None = None, unit: str = "") -> Iterator[Advance]:
        """Print how far the stage is, its rate and when it should end."""
        start_s = told_s = time.monotonic()
        done = begun = 0

        def advance(n: int = 1, **metrics: float) -> None:
            nonlocal done, begun, told_s
            done += n
            if not metrics and unit == "steps":
                begun = done
            now_s = time.monotonic()
            if now_s - told_s >= 30:
                told_s = now_s
                rate = (done - begun) / (now_s - start_s)
                left_min = ((total or done) - done) / max(rate, 1e-9) / 60
                shown = ", ".join(f"{key} {value:.4g}" for key, value in metrics.items())
                _say(
                    f"{time.strftime('%H:%M:%S')} {name} {done}/{total} {unit}, {rate * self.batch_size:.0f} images/s, "
                    f"{left_min:.0f} min left; {shown}"
                )

        yield advance

    def note(self, message: str) -> None:
        """Print it."""
        _say(f"{time.strftime('%H:%M:%S')} {message}")

    warn = note


if __name__ == "__main__":
    raise SystemExit(main())
