"""Does the measure of places find them where they are, and nothing where they are not?"""

import numpy as np

from benchmarks.positions import directions_right, place_r2

RELATED = [frozenset({("border", "above", "body")}), frozenset({("border", "below", "body")})]


def tokens(images, *, told, seed):
    """A square of nine patches whose second number tells row and column, or only noise."""
    made = np.random.default_rng(seed).normal(size=(images, 9, 8)).astype(np.float32)
    if told:
        made[:, :, 1], made[:, :, 2] = np.arange(9) // 3, np.arange(9) % 3
    return made


def test_places_that_are_told_are_found_and_others_are_not():
    row, column = place_r2(tokens(40, told=True, seed=0), tokens(30, told=True, seed=1))
    assert min(row, column) > 0.99
    row, column = place_r2(tokens(40, told=False, seed=0), tokens(30, told=False, seed=1))
    assert max(row, column) < 0.1


def test_directions_are_found_by_where_a_token_is():
    parts, related = [], []
    for seed, images in enumerate((200, 60, 100)):
        drawn = tokens(images, told=True, seed=seed)
        above = np.arange(images) % 2 == 0
        drawn[above, 0, 3], drawn[~above, 8, 3] = 9.0, 9.0
        parts.append(drawn)
        related.append([RELATED[0] if one else RELATED[1] for one in above])
    assert directions_right(parts, related) == 1.0
    noise = [np.random.default_rng(9 + n).normal(size=part.shape).astype(np.float32) for n, part in enumerate(parts)]
    assert 0.3 < directions_right(noise, related) < 0.7
