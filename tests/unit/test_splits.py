"""Is a split frozen by its name and seed, whatever the order, and does the data's own split win?"""

import numpy as np
import pytest

from kg.errors import RecipeConfigError
from kg.splits import FRACTIONS, GATE, TEST, TRAIN, VALID, assign, members

_PINNED = [0, 0, 0, 0, 3, 2, 0, 1, 0, 0]
UNITS = [f"item {i}" for i in range(4000)]


def _counts(codes: np.ndarray) -> list[int]:
    return np.bincount(codes, minlength=4).tolist()


def test_shares_come_out_and_every_row_has_a_place():
    counts = _counts(assign(UNITS))
    assert sum(counts) == 4000
    np.testing.assert_allclose(np.array(counts) / 4000, [0.70, 0.10, 0.05, 0.15], atol=0.02)


def test_order_and_company_do_not_matter():
    codes = dict(zip(UNITS, assign(UNITS), strict=True))
    backwards = dict(zip(UNITS[::-1], assign(UNITS[::-1]), strict=True))
    half = dict(zip(UNITS[:2000], assign(UNITS[:2000]), strict=True))
    assert codes == backwards
    assert all(codes[unit] == code for unit, code in half.items())


def test_name_and_seed_make_different_splits():
    base = assign(UNITS)
    assert (assign(UNITS) == base).all()
    assert 0.3 < (assign(UNITS, seed=1) != base).mean() < 0.6
    assert 0.3 < (assign(UNITS, name="other") != base).mean() < 0.6


def test_assignment_is_the_same_on_every_machine():
    assert assign(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] * 2).tolist() == _PINNED * 2


def test_rows_of_one_unit_stay_together():
    artists = [f"artist {i % 109}" for i in range(3000)]
    codes = assign(artists, name="artist-disjoint")
    for artist in set(artists):
        assert len({code for code, unit in zip(codes, artists, strict=True) if unit == artist}) == 1
    assert _counts(assign(sorted(set(artists)), name="artist-disjoint")) == [76, 11, 6, 16]


@pytest.mark.parametrize("count", [1, 2, 12, 20, 51])
def test_few_units_get_exact_counts(count):
    counts = _counts(assign(UNITS[:count]))
    assert sum(counts) == count
    assert all(abs(got - share * count) < 1 for got, share in zip(counts, FRACTIONS["default"], strict=True))


def test_supplied_test_stays_and_valid_and_gate_are_cut_from_train():
    supplied = ["test"] * 600 + ["train"] * 2400
    codes = assign(UNITS[:3000], supplied=supplied)
    assert (codes[:600] == TEST).all()
    assert _counts(codes[600:]) == [2040, 240, 120, 0]


def test_supplied_valid_is_kept_and_only_gate_is_cut():
    codes = assign(UNITS[:1000], supplied=["valid"] * 100 + ["train"] * 900)
    assert (codes[:100] == VALID).all()
    assert _counts(codes[100:]) == [855, 0, 45, 0]


def test_new_rows_without_a_supplied_split_are_placed_by_hash():
    codes = assign(UNITS, supplied=["train"] * 2000 + [None] * 2000)
    assert (codes[2000:] == assign(UNITS)[2000:]).all()
    assert TEST not in codes[:2000]


def test_test_wins_where_two_rows_of_one_image_disagree():
    codes = assign(["same", "same", "other"], supplied=["train", "test", "train"])
    assert codes[:2].tolist() == [TEST, TEST]


def test_stratified_split_holds_in_every_class():
    classes = [f"style {i % 32}" for i in range(3200)]
    codes = assign(UNITS[:3200], classes=classes, fractions=FRACTIONS["artgraph"])
    for label in set(classes):
        counts = _counts(codes[[c == label for c in classes]])
        assert all(abs(got - share * 100) <= 1 for got, share in zip(counts, FRACTIONS["artgraph"], strict=True))
    assert GATE not in codes


def test_stratified_split_of_tiny_classes_leaves_no_split_empty():
    codes = assign(UNITS[:68], classes=[f"cluster {i % 17}" for i in range(68)])
    np.testing.assert_allclose(_counts(codes), np.array(FRACTIONS["default"]) * 68, atol=1.01)
    assert {TRAIN, VALID, GATE, TEST} == set(codes.tolist())


def test_members_are_rows_of_one_split():
    codes = assign(UNITS)
    assert sum(len(members(codes, split)) for split in ("train", "valid", "gate", "test")) == len(UNITS)
    assert (codes[members(codes, "gate")] == GATE).all()


def test_nothing_to_divide_is_no_error():
    assert assign([]).tolist() == []


@pytest.mark.parametrize("fractions", [(0.7, 0.2, 0.1), (0.7, 0.2, 0.1, 0.1), (1.2, -0.2, 0, 0)])
def test_wrong_fractions_are_refused(fractions):
    with pytest.raises(RecipeConfigError, match="four shares"):
        assign(UNITS, fractions=fractions)


def test_unknown_names_are_refused():
    with pytest.raises(RecipeConfigError, match=r"'dev'.*train, valid, gate, test"):
        assign(["a"], supplied=["dev"])
    with pytest.raises(RecipeConfigError, match="2 units and 1 supplied"):
        assign(["a", "b"], supplied=["train"])
    with pytest.raises(RecipeConfigError, match="'validation'"):
        members(np.zeros(3), "validation")
