"""Are the figures that tables are made of right, by hand?"""

import math

import numpy as np
import pytest
import torch

from training.metrics.calibration import expected_calibration_error, fit_temperature
from training.metrics.classification import classification_report, harmonic_mean, top_k_accuracy

KEYS = ["ikat", "jamdani", "tissue"]


def test_report_by_hand():
    # Predicted 0, 0, 1, 1, 0 where 0, 0, 1, 0, 1 is true; nothing is class 2.
    scores = np.array([[3.0, 1, 0], [3, 1, 0], [1, 3, 0], [1, 3, 0], [3, 1, 0]])
    report = classification_report(scores, np.array([0, 0, 1, 0, 1]), class_keys=KEYS)
    assert report.top1 == pytest.approx(3 / 5)
    assert report.top2 == report.top5 == 1.0
    ikat, jamdani, tissue = report.classes
    assert (ikat.precision, ikat.recall, ikat.examples) == (pytest.approx(2 / 3), pytest.approx(2 / 3), 3)
    assert (jamdani.precision, jamdani.recall, jamdani.f1) == (0.5, 0.5, 0.5)
    assert (tissue.recall, tissue.examples) == (0.0, 0)
    assert report.macro_recall == pytest.approx((2 / 3 + 1 / 2) / 2), (
        "a class without examples must not pull the mean down"
    )
    assert report.confusion == ((2, 1, 0), (1, 1, 0), (0, 0, 0))


def test_constant_scores_win_nothing():
    assert top_k_accuracy(np.zeros((4, 3)), np.array([0, 0, 1, 2]), k=1) == 0.0
    assert top_k_accuracy(np.zeros((4, 3)), np.array([0, 0, 1, 2]), k=3) == 1.0


def test_harmonic_mean():
    assert harmonic_mean(0.9, 0.6) == pytest.approx(0.72)
    assert harmonic_mean(0.9, 0.0) == 0.0


def test_calibration_error_by_hand():
    # Two bins: sure at 0.9 and right once in two; sure at 0.6 and right always.
    sure = torch.tensor([0.9, 0.9, 0.6, 0.6])
    probabilities = torch.stack([sure, 1 - sure], 1)
    error = expected_calibration_error(probabilities, torch.tensor([0, 1, 0, 0]), bins=10)
    assert error == pytest.approx((abs(0.9 - 0.5) + abs(0.6 - 1.0)) / 2, abs=1e-6)


def test_temperature_finds_what_the_logits_were_multiplied_by():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(20_000, 4, generator=generator) * 2
    targets = torch.multinomial(logits.softmax(1), 1, generator=generator).squeeze(1)
    assert fit_temperature(logits, targets) == pytest.approx(1.0, rel=0.05)
    assert fit_temperature(3 * logits, targets) == pytest.approx(3.0, rel=0.05)


def test_temperature_without_examples_changes_nothing():
    assert fit_temperature(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)) == 1.0
    assert math.isfinite(fit_temperature(torch.zeros(5, 3), torch.zeros(5, dtype=torch.long)))
