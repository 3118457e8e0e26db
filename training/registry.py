"""What must a training recipe offer, and which recipes are there?

A recipe is one file in `training/recipes/`, registered under its own file name:

    class Config(RecipeConfig):
        hidden_dim: int = 256

    @recipe("my_recipe", Config)
    class MyRecipe: ...          # the members of `Recipe` below

`training/engine.py` owns the loop and calls a recipe in this order: `Class(config)`, `build(snapshot, encoders)`, then
per epoch `start_epoch`, `train_batches`, and per batch `training_step`; `evaluate("valid")` between. A recipe never
steps an optimiser, never seeds a global generator, never writes a file.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from kg.errors import UnknownRecipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

__all__ = ["Batch", "Recipe", "RecipeConfig", "RecipeEntry", "get_recipe", "recipe", "recipe_names"]

Batch = dict[str, Any]
"""Named parts of one training batch; the names are the recipe's `data_keys`; the engine moves tensors to the device."""


class RecipeConfig(BaseModel):
    """What every run can set; a recipe's `Config` adds its own fields. Frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rng_seed: int = Field(0, ge=0, description="Seed of every random state of the run.")
    optimizer: Literal["adam", "adamw"] = Field("adamw", description="Adam, or Adam with decoupled weight decay.")
    learning_rate: float = Field(1e-3, gt=0, description="Peak rate, after warm-up.")
    weight_decay: float = Field(0.05, ge=0, description="On matrices only; biases, norms and scalars are exempt.")
    schedule: Literal["cosine", "constant"] = Field("cosine", description="Shape of the rate after warm-up.")
    warmup_steps: int = Field(0, ge=0, description="Steps over which the rate grows linearly from 0.")
    final_rate: float = Field(0.0, ge=0, le=1, description="Where cosine ends, as a share of the peak rate.")
    epochs: int = Field(
        10, ge=1, description="Passes over the training batches; with them the schedule's length is planned."
    )
    max_steps: int | None = Field(None, ge=1, description="Planned steps instead of epochs x batches.")
    batch_size: int = Field(64, ge=1, description="Examples a step.")
    validate_every_steps: int = Field(0, ge=0, description="Steps between validations; 0: at the end of every epoch.")
    patience: int = Field(
        0, ge=0, description="Validations without a better primary metric before stopping; 0: never stop."
    )
    grad_clip: float = Field(1.0, ge=0, description="Largest global gradient norm; 0: no clipping.")
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "64-true"] = Field(
        "32-true", description="Lightning Fabric's."
    )
    accelerator: str = Field("auto", description="cpu, cuda or auto.")
    checkpoint_every_s: float = Field(
        180.0, ge=0, description="Seconds between checkpoints beside those at validations."
    )


@runtime_checkable
class Recipe(Protocol):
    """One way to learn from graph and images. All members exist; optional ones may raise NotImplementedError."""

    data_keys: ClassVar[tuple[str, ...]]
    """Names in a training batch; the engine checks the first batch against them."""
    primary_metric: ClassVar[str]
    """Key of `evaluate("valid")` by which the best epoch is chosen."""
    greater_is_better: ClassVar[bool]
    """Direction of `primary_metric`."""
    tasks: tuple[str, ...]
    """Names of the domain's classification tasks this run serves, empty before `build` and for recipes without one."""
    levels: tuple[str, ...]
    """Hierarchy facets it predicts beside the class itself; usually empty."""
    images_depend_on_classes: ClassVar[bool]
    """True where image vectors change with the classes (HGCLIP): refresh then re-encodes images too."""
    config: RecipeConfig
    """The frozen configuration it was constructed with."""

    def build(self, snapshot: Any, encoders: Any) -> None:
        """Create modules, features and splits from a frozen snapshot and the encoders' (cached) features.

        All randomness comes from generators seeded with `config.rng_seed`, or from the global ones, which the caller
        has set with `training.checkpoint.seed_all(config.rng_seed)` just before.
        Raises: EmptySplit where train or valid has no example.
        """

    def module(self) -> "nn.Module":
        """The one module that holds every trainable parameter and buffer; the same object each time."""

    def batches_per_epoch(self) -> int:
        """How many batches `train_batches` yields from start 0."""

    def start_epoch(self, epoch: int) -> None:
        """Set what depends on the epoch alone (unfreezing blocks …); called again with the same number on resume."""

    def train_batches(self, epoch: int, generator: "torch.Generator", start: int) -> Iterator[Batch]:
        """Yield the epoch's batches from number `start` on.

        `generator` is fresh and seeded by (rng_seed, epoch): the same arguments give the same batches, and batch k
        does not depend on `start`. That is what makes a resumed run equal to an uninterrupted one.
        """

    def training_step(self, batch: Batch) -> tuple[dict[str, "Tensor"], dict[str, float]]:
        """Losses and report of one batch. Keys of the first dict that end in `_loss` are summed and minimised.

        Other keys of either dict are only reported. Shapes: every loss is a scalar.
        """

    def evaluate(self, split: str) -> dict[str, float]:
        """Metrics of `train`, `valid`, `gate` or `test`; runs in eval mode without gradients. Keys carry no split
        prefix
        except where the recipe's `primary_metric` does."""

    def encode_images(self, images: Any) -> "Tensor":
        """Unit-length image vectors. Shapes: (images, dim)."""

    def encode_classes(self, snapshot: Any, classes: Sequence[str] | None = None) -> "Tensor":
        """Unit-length class vectors on any snapshot of the domain, inductively; None: all classes, in the snapshot's
        order.

        Shapes: (classes, dim).
        """

    def encode_texts(self, texts: Sequence[str]) -> "Tensor":
        """Optional: unit-length vectors of texts in the same space. Shapes: (texts, dim)."""


@dataclass(frozen=True)
class RecipeEntry:
    """A registered recipe: its name, the class, its configuration class."""

    name: str
    cls: type
    config_cls: type[RecipeConfig]


_REGISTRY: dict[str, RecipeEntry] = {}
_Class = TypeVar("_Class", bound=type)


def recipe(name: str, config_cls: type[RecipeConfig]) -> Callable[[_Class], _Class]:
    """Register the decorated class under `name`.

    Raises: UnknownRecipe where the name is taken by another class.
    """

    def register(cls: _Class) -> _Class:
        taken = _REGISTRY.get(name)
        if taken is not None and (taken.cls.__module__, taken.cls.__qualname__) != (cls.__module__, cls.__qualname__):
            raise UnknownRecipe(
                f"recipe '{name}' is registered twice: by {taken.cls.__module__} and {cls.__module__}; "
                f"rename one (known: {', '.join(sorted(_REGISTRY))})"
            )
        _REGISTRY[name] = RecipeEntry(name, cls, config_cls)
        return cls

    return register


def get_recipe(name: str) -> RecipeEntry:
    """The recipe registered under `name`.

    Raises: UnknownRecipe, listing the known ones.
    """
    known = _all_recipes()
    if name not in known:
        raise UnknownRecipe(f"recipe '{name}' is not known; known recipes: {', '.join(sorted(known))}")
    return known[name]


def recipe_names() -> tuple[str, ...]:
    """Names of all recipes, sorted."""
    return tuple(sorted(_all_recipes()))


def _all_recipes() -> Mapping[str, RecipeEntry]:
    """Import every module of `training/recipes` once, which registers it, and return the registry."""
    package = importlib.import_module("training.recipes")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"training.recipes.{module.name}")
    return _REGISTRY
