"""Who is train, valid, gate and test?

By a hash of (split name, seed, unit), so that nobody's place depends on who else is there or in which order they come.
The unit is an image's sha256, else the item's key, or whatever must stay together (the artist, in an artist-disjoint
split). A split that came with the data wins. Runs freeze the result as lists.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from kg.errors import RecipeConfigError

__all__ = [
    "CODES",
    "DEFAULT",
    "EXACT_BELOW_UNITS",
    "FRACTIONS",
    "GATE",
    "SPLITS",
    "TEST",
    "TRAIN",
    "VALID",
    "assign",
    "members",
]

SPLITS = ("train", "valid", "gate", "test")
"""Learning; early stop and temperature; promotion; result tables only. A code is an index into this."""

TRAIN, VALID, GATE, TEST = range(4)
CODES: Mapping[str, int] = MappingProxyType({name: code for code, name in enumerate(SPLITS)})

DEFAULT = (0.70, 0.10, 0.05, 0.15)
FRACTIONS: Mapping[str, tuple[float, float, float, float]] = MappingProxyType(
    {"default": DEFAULT, "paper": (0.70, 0.20, 0.0, 0.10), "artgraph": (0.70, 0.15, 0.0, 0.15)}
)
"""Shares of train, valid, gate, test by preset."""

EXACT_BELOW_UNITS = 200
"""Fewer units than these get exact counts."""


def assign(
    units: Sequence[str],
    *,
    name: str = "random",
    seed: int = 0,
    fractions: Sequence[float] = DEFAULT,
    supplied: Sequence[str | None] | None = None,
    classes: Sequence[Hashable] | None = None,
) -> np.ndarray:
    """A split code for every row; rows of one unit share one.

    With `supplied`, rows that the data came with as valid, gate or test stay what they are; what it does not have of
    valid and gate is cut from its train rows (a tenth and a twentieth of them by default). Rows without a supplied
    split, new ones say, are placed by hash alone. With `classes`, every class is divided by itself. Few units, supplied
    train rows and classes get exact counts; otherwise a unit's hash alone decides, so that a new item never moves
    another.
    Shapes: units (rows,) -> (rows,) int8 with TRAIN, VALID, GATE or TEST.
    Raises: RecipeConfigError for fractions that are not four shares of one, or a split name nobody knows.
    """
    shares = _checked(fractions)
    _same_length(units, supplied, classes)
    places = {unit: _hash_of(name, seed, unit) for unit in set(units)}
    codes: dict[str, int] = _kept(units, supplied)
    cut = {unit for unit, code in codes.items() if code == TRAIN}
    free = places.keys() - codes.keys()
    strata = _strata(units, classes)
    codes |= _divide(free, places, shares, strata, exact=classes is not None or len(places) < EXACT_BELOW_UNITS)
    codes |= _divide(cut, places, _shares_of_train(shares, codes.values()), strata, exact=True)
    return np.fromiter((codes[unit] for unit in units), np.int8, len(units))


def members(codes: np.ndarray, split: str) -> np.ndarray:
    """Rows of one split, ascending.

    Shapes: (rows,) -> (members,).
    Raises: RecipeConfigError for an unknown split.
    """
    return np.flatnonzero(np.asarray(codes) == _code_of(split))


def _hash_of(name: str, seed: int, unit: str) -> float:
    digest = hashlib.sha256(f"{name}\x1f{seed}\x1f{unit}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def _checked(fractions: Sequence[float]) -> tuple[float, ...]:
    shares = tuple(float(share) for share in fractions)
    if len(shares) != len(SPLITS) or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise RecipeConfigError(
            f"split fractions {list(shares)}: give four shares (train, valid, gate, test) that add up to 1, "
            f"such as {list(DEFAULT)}"
        )
    return shares


def _same_length(units: Sequence, supplied: Sequence | None, classes: Sequence | None) -> None:
    for what, rows in (("supplied", supplied), ("classes", classes)):
        if rows is not None and len(rows) != len(units):
            raise RecipeConfigError(f"split: {len(units)} units and {len(rows)} {what}; give one for each")


def _code_of(split: str) -> int:
    if split not in CODES:
        raise RecipeConfigError(f"split {split!r} is unknown; a row belongs to one of {', '.join(SPLITS)}, or to none")
    return CODES[split]


def _kept(units: Sequence[str], supplied: Sequence[str | None] | None) -> dict[str, int]:
    """What the data came with. Of two rows of one unit the later split wins: nothing of test may ever be trained on."""
    kept: dict[str, int] = {}
    for unit, split in zip(units, supplied or (), strict=False):
        if split:
            kept[unit] = max(kept.get(unit, TRAIN), _code_of(split))
    return kept


def _shares_of_train(shares: Sequence[float], present: Iterable[int]) -> tuple[float, ...]:
    """Shares of supplied train rows: valid and gate as they are, unless the data came with its own; never test."""
    there = set(present)
    valid, gate = (0.0 if code in there else shares[code] for code in (VALID, GATE))
    return (1 - valid - gate, valid, gate, 0.0)


def _strata(units: Sequence[str], classes: Sequence[Hashable] | None) -> dict[str, str]:
    """One class a unit: the first in alphabet where its rows disagree, so that their order does not matter."""
    strata: dict[str, str] = {}
    for unit, label in zip(units, classes or (), strict=False):
        strata[unit] = min(strata.get(unit, str(label)), str(label))
    return strata


def _divide(
    units: set[str], places: Mapping[str, float], shares: Sequence[float], strata: Mapping[str, str], *, exact: bool
) -> dict[str, int]:
    if not exact:
        bounds = np.cumsum(shares)[:-1]
        return {unit: int(np.searchsorted(bounds, places[unit], side="right")) for unit in units}
    ordered = sorted(units, key=lambda unit: (strata.get(unit, ""), places[unit], unit))
    codes = (
        _interleaved(len(ordered), shares)
        if strata
        else np.repeat(np.arange(len(SPLITS)), _quotas(len(ordered), shares))
    )
    return dict(zip(ordered, codes.tolist(), strict=True))


def _interleaved(count: int, shares: Sequence[float]) -> np.ndarray:
    """A sequence of codes whose every stretch holds them in proportion: classes lie one behind the other along it.

    Rounding class by class would leave valid and gate empty where all classes are small.
    """
    wanted, given = np.asarray(shares), np.zeros(len(SPLITS))
    codes = np.empty(count, np.int64)
    for step in range(count):
        codes[step] = np.argmax(np.where(wanted > 0, wanted * (step + 1) - given, -np.inf))
        given[codes[step]] += 1
    return codes


def _quotas(count: int, shares: Sequence[float]) -> np.ndarray:
    """Whole numbers nearest to the shares that add up to `count`; what is left over goes to the largest remainders."""
    wanted = np.asarray(shares) * count
    quotas = np.floor(wanted + 1e-9).astype(int)
    largest_first = np.argsort(-(wanted - quotas), kind="stable")
    quotas[largest_first[: count - quotas.sum()]] += 1
    return quotas
