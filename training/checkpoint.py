"""What must be on disk so that a run goes on exactly where it was, and how does it get there whole?"""

import os
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from kg import failpoints
from kg.errors import CheckpointMismatch, StoreError

__all__ = ["load_checkpoint", "load_weights", "random_states", "restore_random_states", "save_checkpoint", "seed_all"]

BEST, LAST = "best.pt", "last.pt"


def seed_all(rng_seed: int) -> None:
    """Seed Python's, NumPy's and torch's global generators; done before `build` and again by `fit`."""
    random.seed(rng_seed)
    np.random.seed(rng_seed % 2**32)
    torch.manual_seed(rng_seed)


def random_states() -> dict[str, Any]:
    """Every global random state, in types that torch loads with `weights_only`."""
    name, keys, position, has_gauss, gauss = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(keys.astype(np.int64)), int(position), int(has_gauss), float(gauss)),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_states(states: dict[str, Any]) -> None:
    """Set every global random state to what `random_states` returned."""
    version, internal, gauss_next = states["python"]
    random.setstate((version, tuple(internal), gauss_next))
    name, keys, position, has_gauss, gauss = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    torch.set_rng_state(states["torch"].cpu())
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` beside `path`, flush it to the disk, rename: a kill at any moment leaves the old or the new file.

    Raises: StoreError where the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        failpoints.reach("checkpoint.before_rename")
        temporary.replace(path)
        failpoints.reach("checkpoint.after_rename")
    except (OSError, RuntimeError) as error:
        with suppress(OSError):  # what cannot be removed must not hide why it was to be removed
            temporary.unlink(missing_ok=True)
        # On a full disk torch speaks of the position in its own archive.
        reason = getattr(error, "strerror", None) or "it could not be completed, as on a full disk"
        raise StoreError(
            f"writing checkpoint {path}: {reason}; free space or make the folder writable, then resume"
        ) from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """What `save_checkpoint` wrote, on the CPU.

    Raises: CheckpointMismatch where the file is missing or damaged.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointMismatch(f"reading checkpoint {path}: {error}; delete it and train again") from error


def load_weights(module: nn.Module, path: Path) -> dict[str, Any]:
    """Put a checkpoint's weights into `module` and return the whole checkpoint.

    Raises: CheckpointMismatch where names or shapes differ.
    """
    state = load_checkpoint(path)
    try:
        module.load_state_dict(state["module"])
    except (KeyError, RuntimeError) as error:
        raise CheckpointMismatch(
            f"checkpoint {path} does not fit this model: {str(error)[:300]}; use the configuration it was trained with"
        ) from error
    return state
