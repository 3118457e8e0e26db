"""Does the gate refuse what is clearly worse, let pass what is equal, and say no more than the images show?"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from training.gate import Answers, Margins, holm, judge, loss_p_value, lower_bound_of_loss

CLASSES = [f"c{n}" for n in range(10)]


def answers(targets: np.ndarray, right_share: float | np.ndarray, rng: np.random.Generator, *, sure=None) -> Answers:
    """A model that is right so often, and as sure as it should be."""
    share = np.broadcast_to(right_share, targets.shape)
    right = rng.random(len(targets)) < share
    wrong = (targets + rng.integers(1, len(CLASSES), len(targets))) % len(CLASSES)
    return Answers(np.where(right, targets, wrong), np.array(share if sure is None else np.full(len(targets), sure)))


def refused(targets: np.ndarray, new: Answers, old: Answers, **more) -> set[str]:
    verdict = judge(targets, new, old, class_keys=CLASSES, **more)
    found = {f.measure for f in verdict.findings if f.refused}
    assert verdict.passed is not bool(found)
    return found


def test_equal_models_pass_and_worse_ones_do_not() -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 10, 1000)
    old = answers(targets, 0.8, rng)
    assert refused(targets, old, old) == set()
    wrongly = sum(bool(refused(targets, answers(targets, 0.8, rng), answers(targets, 0.8, rng))) for _ in range(20))
    assert wrongly <= 1
    assert "top1" in refused(targets, answers(targets, 0.7, rng), old)
    assert refused(targets, answers(targets, 0.9, rng), old) == set()


def test_one_lost_class_is_enough() -> None:
    rng = np.random.default_rng(1)
    targets = np.repeat(np.arange(10), 100)
    old = answers(targets, 0.85, rng)
    new = answers(targets, np.where(targets == 3, 0.4, 0.9), rng, sure=0.85)
    verdict = judge(targets, new, old, class_keys=CLASSES)
    assert [f.class_key for f in verdict.findings if f.refused] == ["c3"]
    assert [f["class_key"] for f in verdict.as_dict()["findings"]].count("c3") == 1


def test_held_out_classes_are_judged_apart() -> None:
    rng = np.random.default_rng(2)
    targets, held = rng.integers(0, 10, 800), np.arange(800) < 400
    old = answers(targets, np.where(held, 0.6, 0.8), rng, sure=0.8)
    new = answers(targets, np.where(held, 0.4, 0.8), rng, sure=0.8)
    assert refused(targets, new, old, held_out=held) == {"held_out"}


def test_a_model_that_is_too_sure_of_itself_is_refused() -> None:
    rng = np.random.default_rng(3)
    targets = rng.integers(0, 10, 1000)
    old = answers(targets, 0.8, rng)
    assert refused(targets, Answers(old.predicted, np.full(1000, 0.99)), old) == {"calibration"}


def test_few_images_show_little() -> None:
    targets = np.array([0, 0, 1, 1])
    old, new = Answers(targets, np.full(4, 0.9)), Answers(np.array([0, 0, 1, 0]), np.full(4, 0.9))
    assert "recall" not in refused(targets, new, old) and "top1" not in refused(targets, new, old)
    nothing = np.zeros(0, np.int64)
    assert judge(nothing, Answers(nothing, nothing), Answers(nothing, nothing), class_keys=CLASSES).passed


def test_the_score_test_agrees_with_the_exact_one_at_margin_zero() -> None:
    for lost, won in ((30, 15), (12, 8), (5, 5), (60, 40)):
        exact = binom.sf(lost - 1, lost + won, 0.5)
        mid = exact - binom.pmf(lost, lost + won, 0.5) / 2
        assert loss_p_value(lost, won, 500, 0.0) == pytest.approx(mid, abs=0.03)


def test_the_bound_is_where_the_test_turns() -> None:
    for lost, won, n in ((30, 10, 200), (10, 10, 100), (0, 30, 100), (3, 0, 5)):
        bound = lower_bound_of_loss(lost, won, n, 0.05)
        assert -1 <= bound <= (lost - won) / n
        if bound > -1:
            assert loss_p_value(lost, won, n, bound) == pytest.approx(0.05, abs=1e-6)
    assert lower_bound_of_loss(5, 5, 5, 0.05) <= 0


def test_the_error_rate_at_the_margin_is_what_was_promised() -> None:
    """At a true loss of exactly the margin, one test in twenty may refuse."""
    rng, n, margin = np.random.default_rng(4), 400, 0.05
    lost = rng.binomial(n, 0.15, 4000)
    won = rng.binomial(n - lost, 0.10 / 0.85)
    share = np.mean([loss_p_value(a, b, n, margin) < 0.05 for a, b in zip(lost, won, strict=True)])
    assert 0.03 < share < 0.07


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.5]).tolist() == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([0.6, 0.9]).tolist() == [1.0, 1.0]


def test_margins_are_shares() -> None:
    rng = np.random.default_rng(5)
    targets = rng.integers(0, 10, 2000)
    old, new = answers(targets, 0.8, rng), answers(targets, 0.75, rng)
    assert "top1" in refused(targets, new, old)
    assert "top1" not in refused(targets, new, old, margins=Margins(top1=0.10, recall=0.5, calibration=0.5))
