"""Does the composition table say what its figures are, and which arms get how many seeds?"""

import numpy as np
import pytest
from typer.testing import CliRunner

from cli.main import app
from training.evaluate_composition import ARMS, HEADLINE, CompositionTable

PARTS = ("attribute_swap", "relation_swap", "length_8_up", "unseen_compounds", "mean", "image_top1")


def figures(*values: float) -> dict[str, float]:
    found = dict(zip(PARTS, values, strict=True))
    plain = {f"plain/{name}": value - 0.1 for name, value in found.items()}
    curve = {f"curve/{s}/{name}": 0.5 for s in (0.0, 0.25, 0.5, 0.75, 1.0) for name in ("preferred", "found_top1")}
    return found | plain | curve


@pytest.fixture
def table() -> CompositionTable:
    found = {
        "fine-tuned": [figures(0.8, 0.5, 0.7, 0.6, 0.6, 0.3), figures(0.9, 0.6, 0.7, 0.6, 0.6, 0.3)],
        "Structure-CLIP": [figures(0.9, 0.7, 0.8, 0.7, 0.7, 0.32), figures(0.95, 0.6, 0.8, 0.7, 0.7, 0.3)],
        "MosaiCLIP": [figures(0.9, 0.5, 0.9, 0.75, 0.7, 0.3)],
    }
    return CompositionTable("title", found, dict.fromkeys(found, 60.0))


def test_shares_of_errors_and_gains_go_by_the_names_in_use(table):
    found = {name: values for name, _, values in table.comparisons()}
    assert found["eval.structure.attribution_error_removed"] == pytest.approx([0.5, 0.5])
    assert found["eval.structure.relation_error_removed"] == pytest.approx([0.4, 0.0])
    assert found["eval.mosaic.productivity_gain"] == pytest.approx([0.1]), "only seeds that both have"
    assert found["eval.mosaic.systematicity_gain"] == pytest.approx([0.05])


def test_a_row_has_its_seeds_and_half_an_interval(table):
    row = next(line for line in table.lines() if line.startswith("| fine-tuned |"))
    half = 12.706 * np.std([0.8, 0.9], ddof=1) / np.sqrt(2)
    assert row.startswith(f"| fine-tuned | 2 | 0.850 ± {half:.3f} |")
    assert next(line for line in table.lines() if line.startswith("| MosaiCLIP |")).startswith(
        "| MosaiCLIP | 1 | 0.900 |"
    )


def test_every_headline_arm_is_an_arm_and_an_unknown_one_is_refused():
    assert set(HEADLINE) <= set(ARMS) and not any("," in arm for arm in ARMS), "--arms is separated by commas"
    refused = CliRunner().invoke(app, ["evaluate", "composition", "--arms", "fine-tuned,GraphCLIP"])
    assert refused.exit_code == 1 and "no such arm" in str(refused.exception)
