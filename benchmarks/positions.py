"""Does an image tower still know where its patches are, and can its last block learn directions from that?

    python -m benchmarks.positions [korvai-small-objects korvai-small …] [--images 1000]

Asked of the tokens before the last block, on drawn sarees, by ridge regression fitted on train and scored on valid:

    row, column    R² of a patch's place from its own token
    directions     share of pictures in which the right one of "a above b" and "b above a" (left of, right of, below)
                   is named, from all tokens of a picture; the penalty is the best of four on a third set of pictures

A tower that must only say what there is may forget both, and no last block can learn directions then.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import Ridge

from benchmarks.records import Record, write
from kg.encoders.image import load_image_encoder
from kg.progress import SilentReporter
from kg.settings import load_settings
from kg.store import Store
from training.evaluate_composition import BASE
from training.rendered_suite import rendered_training
from training.structure.pictures import tokens_of
from training.structure.shown import shown_by

__all__ = ["BASES", "directions_right", "measure", "place_r2"]

BASES = (BASE, "korvai-small")
_PAIRS = [
    (one, side, back, other)
    for one, other in (("border", "body"), ("pallu", "body"), ("border", "pallu"))
    for side, back in (("above", "below"), ("left of", "right of"))
]
"""Regions a, b with a direction and its reverse."""
_PENALTIES = (10.0, 100.0, 1000.0, 10_000.0)
_TOO_FEW = 10
_UNITS = {"row_r2": "R²", "column_r2": "R²", "directions": "share"}


def place_r2(train: np.ndarray, valid: np.ndarray) -> tuple[float, float]:
    """R² of a patch's row and column from its token. Shapes: (images, tokens, width) of a square of patches."""
    side = int(np.sqrt(train.shape[1]))
    found = []
    for place in (np.arange(train.shape[1]) // side, np.arange(train.shape[1]) % side):
        model = Ridge(10.0).fit(train.reshape(-1, train.shape[2]), np.tile(place, len(train)))
        found.append(float(model.score(valid.reshape(-1, valid.shape[2]), np.tile(place, len(valid)))))
    return found[0], found[1]


def directions_right(tokens: Sequence[np.ndarray], related: Sequence[list[frozenset]]) -> float:
    """Mean over pairs of regions of how often the right direction is named. `tokens`, `related`: of train, of the
    pictures that the penalty is chosen on, and of those that are asked. Shapes: (images, tokens, width)."""
    flat = [part.reshape(len(part), -1).astype(np.float32) for part in tokens]
    mean, spread = flat[0].mean(0), flat[0].std(0) + 1e-6
    flat = [(part - mean) / spread for part in flat]
    right = []
    for one, side, back, other in _PAIRS:
        kept, signs = zip(*(_decided(part, (one, side, other), (one, back, other)) for part in related), strict=True)
        if min(len(rows) for rows in kept) < _TOO_FEW:
            continue
        models = [Ridge(penalty).fit(flat[0][kept[0]], signs[0]) for penalty in _PENALTIES]
        chosen, asked = ([_share(m, flat[n][kept[n]], signs[n]) for m in models] for n in (1, 2))
        right.append(asked[int(np.argmax(chosen))])
    return float(np.mean(right))


def _decided(related: list[frozenset], so: tuple, reverse: tuple) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of which exactly one of two directions is true, and 1 or -1."""
    signs = np.array([(so in one) - (reverse in one) for one in related], float)
    rows = np.flatnonzero(signs)
    return rows, signs[rows]


def _share(model: Ridge, tokens: np.ndarray, signs: np.ndarray) -> float:
    return float((np.sign(model.predict(tokens)) == signs).mean())


def measure(bases: Sequence[str] = BASES, *, images: int = 1000) -> list[Record]:
    """All three figures of every base."""
    store, reporter = Store(load_settings().store_dir), SilentReporter()
    parts = (("train", images, 0), ("valid", images // 2, 1), ("valid", images // 2, 0))
    drawn = [
        rendered_training(store, images=count, split=split, rng_seed=seed, reporter=reporter)
        for split, count, seed in parts
    ]
    related = [[shown_by(scene).related for scene in part.scenes] for part in drawn]
    records = []
    for base in bases:
        encoder = load_image_encoder(base)
        tokens = [
            np.asarray(tokens_of(part.pictures, encoder, store, blocks=1, reporter=reporter), np.float32)
            for part in drawn
        ]
        row, column = place_r2(tokens[0], tokens[2])
        told = {"row_r2": row, "column_r2": column, "directions": directions_right(tokens, related)}
        command = f"python -m benchmarks.positions {base} --images {images}"
        records += [
            Record(f"positions.{base}.{name}", value, _UNITS[name], command, n=images // 2)
            for name, value in told.items()
        ]
    return records


def main() -> int:
    """Measure and print; figures go to results/positions.json too."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bases", nargs="*", default=list(BASES), help="checkpoints or encoders")
    parser.add_argument("--images", type=int, default=1000, help="to fit on; half as many are asked")
    args = parser.parse_args()
    records = measure(args.bases, images=args.images)
    for record in records:
        print(f"{record.name:48s} {record.value:6.3f}")
    print(write("positions", records))
    return 0


if __name__ == "__main__":
    sys.exit(main())
