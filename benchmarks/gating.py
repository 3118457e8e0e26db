"""How often does the gate refuse an equal model, and how often one that is worse?

    python -m benchmarks.gating [--rounds 400]

Pairs of models that are right equally often, with errors drawn independently or mostly shared (as two seeds of one
recipe share them), over gate splits of several sizes; then the same with a loss in top-1, in one class, in calibration.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from benchmarks.records import Record, write
from training.gate import Answers, judge

__all__ = ["measure"]

_RIGHT = 0.8
_CLASSES = 32


def measure(rounds: int = 400, seed: int = 0) -> list[Record]:
    """Refusals of `rounds` pairs in each setting."""
    command, records = f"python -m benchmarks.gating --rounds {rounds}", []
    for n in (300, 1000, 3000):
        for shared in (0.0, 0.8):
            refused = [_refused(seed + k, n, shared, _equal) for k in range(rounds)]
            name = f"gate.false_refusals_{n}_images_{int(100 * shared)}_shared"
            records.append(_record(name, refused, command))
    for what, change in (("top1_minus_5_points", _worse), ("one_class_halved", _one_class), ("overconfident", _sure)):
        refused = [_refused(seed + k, 3000, 0.8, change) for k in range(rounds // 4)]
        records.append(_record(f"gate.refused_{what}", refused, command))
    return records


def _record(name: str, refused: list[bool], command: str) -> Record:
    share = float(np.mean(refused))
    spread = float(np.sqrt(share * (1 - share) / len(refused)))
    return Record(name, share, "share of pairs", command, spread=spread, n=len(refused))


Change = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def _refused(seed: int, n: int, shared: float, change: Change) -> bool:
    """Whether a new model is refused; `change` says with what probability, and how surely, it is right."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, _CLASSES, n)
    share = np.clip(rng.normal(_RIGHT, 0.15, n), 0.05, 0.99)
    new_share, sure = change(targets, share)
    draw, own = rng.random(n), rng.random(n)
    mine = np.where(rng.random(n) < shared, draw, own)
    old = Answers(np.where(draw < share, targets, (targets + 1) % _CLASSES), share)
    new = Answers(np.where(mine < new_share, targets, (targets + 1) % _CLASSES), sure)
    return not judge(targets, new, old, class_keys=[str(c) for c in range(_CLASSES)]).passed


def _equal(_: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return share, share


def _worse(_: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return share - 0.05, share - 0.05


def _one_class(targets: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    halved = np.where(targets == 0, share / 2, share)
    return halved, halved


def _sure(_: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return share, np.clip(share + 0.12, 0, 1)


def main() -> None:
    """Print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=400)
    records = measure(parser.parse_args().rounds)
    for record in records:
        print(f"{record.name:50s} {record.value:7.3f} ± {record.spread:.3f} of {record.n}")
    print(write("gating", records))


if __name__ == "__main__":
    main()
