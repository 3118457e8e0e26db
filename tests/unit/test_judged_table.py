"""Is a table of predictions measured as one would by hand, and is what is no such table refused?"""

import numpy as np
import pytest

from kg.errors import SchemaViolation
from training.judged_table import judge_table
from training.metrics.intervals import bootstrap_interval, paired_difference

WITH_PROBABILITIES = "pred,true,a,b,c\na,a,0.8,0.1,0.1\nb,a,0.3,0.6,0.1\nb,b,0,1,0\nc,b,0.3,0.2,0.5\n"


def judged(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text)
    return judge_table(path)


def test_by_hand(tmp_path):
    found = judged(tmp_path, WITH_PROBABILITIES)
    assert found.examples == 4 and found.classes == ["a", "b", "c"]
    assert [found.shares[name][0] for name in ("top-1", "top-2", "top-5")] == [0.5, 0.75, 1.0]
    assert found.macro["macro precision"] == pytest.approx((1 + 0.5) / 2)
    assert found.macro["macro recall"] == pytest.approx(0.5)
    assert found.macro["macro F1"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    # Each row alone in its bin: distances 0.2, 0.6, 0, 0.5.
    assert found.calibration["ECE"] == pytest.approx(1.3 / 4)
    assert "| a | 1.000 | 0.500 | 0.667 | 2 |" in found.lines()


def test_without_probabilities(tmp_path):
    found = judged(tmp_path, "true,pred\n1,1\n2,1\nnan,nan\n")
    assert list(found.shares) == ["top-1"] and found.shares["top-1"][0] == pytest.approx(2 / 3)
    assert found.classes == ["1", "2", "nan"] and not found.calibration


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("true,guess\na,b\n", "no column 'pred'"),
        ("true,pred\n", "no row"),
        ("true,pred\na,a\nb,\n", "line 3 has an empty"),
        ("true,pred,a,b\na,a,0.9,0.9\n", "line 2 holds no probabilities"),
        ("true,pred,note\na,a,fine\n", "no class that occurs: note"),
        ("", "cannot be read"),
    ],
)
def test_what_is_no_table(tmp_path, text, said):
    with pytest.raises(SchemaViolation, match=said):
        judged(tmp_path, text)


def test_intervals():
    rng = np.random.default_rng(0)
    right = rng.random(400) < 0.8
    mean, low, high = bootstrap_interval(right)
    sem = np.sqrt(mean * (1 - mean) / 400)
    assert low == pytest.approx(mean - 1.96 * sem, abs=0.01) and high == pytest.approx(mean + 1.96 * sem, abs=0.01)
    same = np.repeat(right[:20], 20)
    _, wide_low, wide_high = bootstrap_interval(same, groups=np.repeat(np.arange(20), 20))
    _, near_low, near_high = bootstrap_interval(same)
    assert wide_high - wide_low > 3 * (near_high - near_low), "copies of twenty artists are twenty observations"
    assert paired_difference(right, right) == (0, 0, 0)
