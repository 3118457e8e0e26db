"""Do these weights belong to this model, what is their hash, and how are they kept without growing or losing a bit?"""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kg.errors import EncoderError
from kg.store import atomic_write

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["fitting", "load_strictly", "read_weights", "save_weights", "weights_hash"]

_MISSING = re.compile(r"Missing key\(s\) in state_dict: (.*?)\. *(?:\n|$)", re.DOTALL)
_UNEXPECTED = re.compile(r"Unexpected key\(s\) in state_dict: (.*?)\. *(?:\n|$)", re.DOTALL)
_SHAPE = re.compile(r"size mismatch for (\S+): .*?torch\.Size\(\[(.*?)\]\).*?torch\.Size\(\[(.*?)\]\)")


def read_weights(path: Path, *, encoder: str) -> dict[str, Tensor]:
    """The tensors of a safetensors or torch file; a file that would run code is refused.

    Raises: EncoderError for a missing, damaged or foreign file.
    """
    import torch
    from safetensors.torch import load_file

    with fitting(encoder, path):
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = state.get("state_dict", state)
        return {key.removeprefix("module."): value for key, value in state.items()}


def load_strictly(module: nn.Module, state: Mapping[str, Tensor], *, encoder: str, path: Path) -> None:
    """Put `state` into `module`; every key and every shape must agree.

    Raises: EncoderError naming the first that do not.
    """
    with fitting(encoder, path):
        module.load_state_dict(state, strict=True)


@contextmanager
def fitting(encoder: str, path: Path) -> Iterator[None]:
    """Turn what torch, safetensors and pickle say about a file into one line of ours.

    Raises: EncoderError.
    """
    if not path.is_file():
        raise EncoderError(f"encoder {encoder}: there is no file {path}; check the path")
    try:
        yield
    except EncoderError:
        raise
    except Exception as error:  # a damaged file makes its reader raise nearly anything
        problems = str(error) if isinstance(error, AssertionError) else _mismatch(str(error))
        if problems:
            raise EncoderError(
                f"encoder {encoder}: the weights in {path} do not match ({problems}); give the file of this very model"
            ) from error
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        if isinstance(error, pickle.UnpicklingError):  # torch explains its own history at length
            reason = "not a file of tensors, or one that would run code"
        raise EncoderError(
            f"encoder {encoder}: cannot read weights from {path} ({reason}); is the file whole?"
        ) from error


def weights_hash(state: Mapping[str, Tensor]) -> str:
    """Hash of names, shapes and values, in single precision: a lossless half-precision copy has the same."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu()
        tensor = (tensor.float() if tensor.is_floating_point() else tensor).contiguous()
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(memoryview(tensor.reshape(-1).numpy()).cast("B"))
    return digest.hexdigest()


def save_weights(state: Mapping[str, Tensor], path: Path) -> None:
    """Write a safetensors file; in half precision where that loses nothing, as with weights that came in half
    precision.

    Raises: StoreError.
    """
    from safetensors.torch import save

    halves = all(_is_half(tensor) for tensor in state.values())
    kept = {
        name: (tensor.half() if halves and tensor.is_floating_point() else tensor).detach().cpu().clone().contiguous()
        for name, tensor in state.items()
    }
    with atomic_write(path) as file:
        file.write(save(kept))


def _is_half(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool((tensor.half().to(tensor.dtype) == tensor).all())


def _mismatch(message: str) -> str:
    """The first keys and shapes that torch complains about, or nothing when it complains about something else."""
    problems = []
    for what, pattern in (("missing", _MISSING), ("unexpected", _UNEXPECTED)):
        if found := pattern.search(message):
            keys = re.findall(r'"([^"]+)"', found.group(1))
            problems.append(f"{what} {', '.join(keys[:2])}{f' and {len(keys) - 2} more' if len(keys) > 2 else ''}")
    shapes = _SHAPE.findall(message)
    problems += [f"{key} has shape [{has}], expected [{wants}]" for key, has, wants in shapes[:1]]
    if len(shapes) > 1:
        problems.append(f"{len(shapes) - 1} more shapes differ")
    return "; ".join(problems)
