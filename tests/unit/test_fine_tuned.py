"""Does the fine-tuned vision head learn in the tower's last block what a head on its frozen features cannot see?"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from training.comparison.fine_tuned import fine_tuned_scores

pytestmark = pytest.mark.usefixtures("one_thread")


class Block(nn.Module):
    """A last block that looks at the first number alone, until it has learnt otherwise."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[1.0, 0.0], [0.3, 0.0]]))

    def unlock(self, blocks):
        self.weight.requires_grad_(bool(blocks))

    def forward(self, entering, *, blocks):
        assert blocks == 1
        return entering @ self.weight.T


class Tower:
    """Given features: images of two numbers, of which the second tells the class."""

    def __init__(self, numbers):
        self.numbers = numbers

    def entering(self, snapshot, blocks):
        return SimpleNamespace(rows=lambda images: torch.as_tensor(self.numbers[images]))

    def tail(self, blocks):
        return Block()

    def image_width(self):
        return 2


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(900, 2)).astype(np.float32)
    parts = {"train": np.arange(600), "valid": np.arange(600, 750), "test": np.arange(750, 900)}
    classes = (numbers[:, 1] > 0).astype(int)
    examples = SimpleNamespace(
        of=parts.__getitem__, class_row=classes, image_row=np.arange(900), class_keys=["below", "above", "never seen"]
    )
    return Tower(numbers), examples


def test_the_last_block_learns(pictures):
    tower, examples = pictures
    tested = examples.of("test")
    found = fine_tuned_scores(tower, None, examples, rng_seed=0, tower_rate=0.3)(tested)
    assert (found.argmax(1) == examples.class_row[tested]).mean() > 0.8
    assert np.isneginf(found[:, 2]).all() and np.allclose(np.exp(found[:, :2]).sum(1), 1, atol=1e-5)
    frozen = fine_tuned_scores(tower, None, examples, rng_seed=0, tower_rate=0.0)(tested)
    assert (frozen.argmax(1) == examples.class_row[tested]).mean() < 0.65, (
        "what the block does not see no head can tell"
    )


def test_the_same_seed_gives_the_same_answers(pictures):
    tower, examples = pictures
    one, two = (fine_tuned_scores(tower, None, examples, rng_seed=3)(examples.of("test")) for _ in range(2))
    assert np.array_equal(one, two)
    assert fine_tuned_scores(tower, None, examples, rng_seed=3)(np.array([], int)).shape == (0, 3)
