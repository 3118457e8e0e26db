"""Does the difficulty floor hold, so that results on rendered sarees mean something?"""

from benchmarks.difficulty_floor import LIMITS, measure_floor


def test_shallow_cues_stay_low_and_attributes_suffice() -> None:
    """A small measurement (the committed one uses 80 and 30 a cluster): limits are the same."""
    floor = measure_floor(train_per_cluster=24, test_per_cluster=10)
    for name, (low, high) in LIMITS.items():
        slack = 0.02  # 170 test images: one standard error of the oracle is 0.012
        assert low is None or floor[name] >= low - slack, name
        assert high is None or floor[name] <= high, name
    assert floor["attribute_oracle_without_colour"] > 0.9 > floor["attribute_oracle_colour_only"]
