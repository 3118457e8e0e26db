"""How is one training step timed, in a process of its own?"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.step.graph import TARGETS, WIDTH, features

__all__ = ["batch_loss", "report"]

_SCALE = 20.0
_BATCH = 256


def batch_loss(vectors: Mapping[str, Tensor], *, number: int = 0) -> Tensor:
    """Both tasks' cross-entropy, half each, of one batch of cached image features against all class vectors."""
    images = torch.from_numpy(features(f"batch {number}", _BATCH))
    loss = images.new_zeros(())
    for label in TARGETS:
        targets = torch.arange(_BATCH) * 7 % len(vectors[label])
        loss = loss + 0.5 * F.cross_entropy(_SCALE * images @ F.normalize(vectors[label], dim=1).T, targets)
    return loss


def report(
    step: Callable[[int], Mapping[str, Tensor]], out: Path, *, repeats: int, batches: int, count_flop: bool = False
) -> None:
    """Run `step(batches)` some times; write its last class vectors to `out` and its figures to standard output."""
    vectors = step(batches)  # the first one allocates
    seconds, cpu_seconds = [], []
    for _ in range(repeats):
        began, cpu_began = time.perf_counter(), time.process_time()
        vectors = step(batches)
        seconds.append(time.perf_counter() - began)
        cpu_seconds.append(time.process_time() - cpu_began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    flop = 0
    if count_flop:
        with FlopCounterMode(display=False) as counter:
            step(batches)
        flop = counter.get_total_flops()
    np.savez(out, **{label: vectors[label].detach().numpy() for label in TARGETS})
    json.dump(
        {
            "seconds": seconds,
            "cpu_seconds": cpu_seconds,
            "peak_mib": peak,
            "flop": flop,
            "flop_per_s": _gemm_rate(),
            "images": batches * _BATCH,
        },
        sys.stdout,
    )


def _gemm_rate() -> float:
    """FLOP/s of a product as large as the largest in the step, best of five."""
    left, right = torch.randn(40_767, WIDTH), torch.randn(WIDTH, WIDTH)
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - began)
    return 2 * left.numel() * WIDTH / best
