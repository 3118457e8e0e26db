"""Do the fast orders agree with the slow obvious ones?"""

import numpy as np
import pyarrow as pa
import pytest

from kg.snapshots.chance import first_by_chance
from kg.snapshots.ordering import distinct, first_places, is_among, order_by_two, ranges
from kg.snapshots.snapshot import rows_of_keys

SIZES = [0, 1, 2, 50, 3_000]


@pytest.fixture(params=SIZES, ids=lambda size: f"{size} numbers")
def numbers(request) -> np.ndarray:
    return np.random.default_rng(request.param).integers(0, max(1, request.param // 3), request.param) << 31


def test_each_value_stands_once_and_where_it_stood_first(numbers):
    values, places = np.unique(numbers, return_index=True)
    assert distinct(numbers).tolist() == values.tolist()
    assert first_places(numbers).tolist() == sorted(places.tolist())


def test_values_are_found_among_others_in_any_order(numbers):
    known = np.random.default_rng(1).permutation(numbers[::2])
    asked = np.append(numbers, [-1, 2**60])
    assert is_among(asked, known).tolist() == np.isin(asked, known).tolist()


def test_two_keys_order_as_one_sort_of_pairs_does(numbers):
    first = np.random.default_rng(2).integers(0, 5, len(numbers))
    order = order_by_two(first, numbers.astype(np.uint64))
    assert sorted(order.tolist()) == list(range(len(numbers)))
    assert [(first[i], numbers[i]) for i in order] == sorted(zip(first, numbers, strict=True))


def test_ranges_count_up_from_each_begin():
    assert ranges(np.array([7, 3, 100]), np.array([2, 0, 3])).tolist() == [7, 8, 100, 101, 102]
    assert ranges(np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []


@pytest.mark.parametrize("wanted", [0, 1, 10, 1_000])
def test_the_first_by_chance_are_those_of_a_sort_of_each_nodes_neighbours(wanted):
    rng = np.random.default_rng(wanted)
    near, far = rng.integers(0, 40, 5_000), rng.integers(0, 300, 5_000)
    chance = rng.integers(0, 2**63, 300).astype(np.uint64)
    place = first_by_chance(near, far, chance, wanted)
    picked = {(int(n), int(f)) for n, f in zip(near[place], far[place], strict=True)}
    slow = set()
    for node in np.unique(near):
        others = sorted(set(far[near == node].tolist()), key=lambda other: chance[other])
        slow |= {(int(node), other) for other in others[:wanted]}
    assert picked == slow
    assert len(place) == len(slow)


def test_keys_are_found_by_halving_as_python_finds_them():
    names = sorted({f"{n % 977:03d}-ä{n}" for n in range(2_000)} | {"", "Zürich", "\U0001f5bc"}, key=str.encode)
    known, asked = pa.array(names, pa.large_string()), [*names[::100], "", "\U0001f5bc", "not there", "zzz", "~", "0"]
    for some in (asked[:10], asked[10:20], asked[-6:]):
        expected = [names.index(key) if key in names else -1 for key in some]
        assert rows_of_keys(known, some).tolist() == expected
