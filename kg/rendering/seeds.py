"""Which random numbers belong to which purpose, so that no image trained on is ever tested on?"""

import numpy as np

from kg.errors import SettingsError

__all__ = ["SEED_RANGES", "rng_for"]

SEED_RANGES: dict[str, range] = {
    "checkpoint": range(0, 1_000_000_000),
    "checkpoint_valid": range(1_000_000_000, 1_100_000_000),
    "train": range(1_100_000_000, 1_200_000_000),
    "valid": range(1_200_000_000, 1_300_000_000),
    "test": range(1_300_000_000, 1_400_000_000),
    "suite": range(1_400_000_000, 1_500_000_000),
    "suite_train": range(1_500_000_000, 2_500_000_000),
    "floor_train": range(2_500_000_000, 2_600_000_000),
    "floor_test": range(2_600_000_000, 2_700_000_000),
    "gallery": range(2_700_000_000, 2_800_000_000),
    "unit_tests": range(2_800_000_000, 2_900_000_000),
    "suite_valid": range(2_900_000_000, 3_000_000_000),
}
"""Purpose -> its own seeds; the ranges are disjoint and a test keeps them so."""


def rng_for(range_name: str, index: int) -> np.random.Generator:
    """The random generator of example number `index` of a purpose: always the same, on every machine.

    Raises: SettingsError for a purpose that is not in SEED_RANGES or an index outside its range.
    """
    if range_name not in SEED_RANGES:
        raise SettingsError(f"rng_for: no seed range {range_name!r}; known: {', '.join(SEED_RANGES)}")
    seeds = SEED_RANGES[range_name]
    if not 0 <= index < len(seeds):
        raise SettingsError(f"rng_for: index {index} is outside {range_name!r}; choose 0..{len(seeds) - 1}")
    return np.random.default_rng(seeds[index])
