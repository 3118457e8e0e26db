"""Do sampled looks follow the rules, and is the oracle's likelihood the one they were drawn from?"""

import math
from itertools import pairwise

import numpy as np
import pytest

from kg.errors import SchemaViolation, SettingsError
from kg.rendering import (
    NO_MOTIF,
    SEED_RANGES,
    SLOTS,
    Look,
    cluster_log_likelihood,
    load_craft,
    outside_support,
    rng_for,
    sample_look,
    sample_open_look,
)
from kg.rendering.slots import BODIES_WITH_MOTIF, PALLUS_WITH_MOTIF

CLUSTERS = list(load_craft().looks)


def _possible(look: Look) -> bool:
    return (
        all(look[slot] in values for slot, values in SLOTS.items())
        and (look.body in BODIES_WITH_MOTIF) == (look.body_motif != NO_MOTIF)
        and (look.pallu in PALLUS_WITH_MOTIF) == (look.pallu_motif != NO_MOTIF)
        and not (look.pallu == "zari ground" and look.zari == "none")
    )


def test_seed_ranges_are_disjoint() -> None:
    ordered = sorted(SEED_RANGES.values(), key=lambda seeds: seeds.start)
    assert all(a.stop <= b.start for a, b in pairwise(ordered))


def test_a_seed_outside_its_range_or_of_no_range_is_refused() -> None:
    with pytest.raises(SettingsError, match="no seed range 'holiday'"):
        rng_for("holiday", 0)
    with pytest.raises(SettingsError, match="outside 'suite'"):
        rng_for("suite", len(SEED_RANGES["suite"]))


def test_cluster_and_open_looks_can_be_drawn() -> None:
    rng = rng_for("unit_tests", 1)
    assert all(_possible(sample_look(cluster, rng)) for cluster in CLUSTERS for _ in range(60))
    assert all(_possible(sample_open_look(rng)) for _ in range(500))


def test_open_looks_belong_to_no_cluster_and_cover_every_value() -> None:
    rng = rng_for("unit_tests", 2)
    looks = [sample_open_look(rng) for _ in range(1500)]
    assert min(min(outside_support(look).values()) for look in looks) >= 2
    for slot, values in SLOTS.items():
        assert {look[slot] for look in looks} == set(values)


def test_an_unknown_cluster_is_named_in_the_error() -> None:
    with pytest.raises(SchemaViolation, match="no drawing rules for 'Atlantis'"):
        sample_look("Atlantis", rng_for("unit_tests", 3))


def test_likelihood_is_the_frequency_of_sampling() -> None:
    """Of many Kasavu looks, the share of each full non-colour combination agrees with exp(log likelihood)."""
    rng, slots = rng_for("unit_tests", 4), ("technique", "zari", "body", "border")
    looks = [sample_look("Kasavu", rng) for _ in range(4000)]
    wanted = {"technique": "plain weave", "zari": "gold", "body": "plain", "border": "plain"}
    seen = np.mean([all(look[slot] == wanted[slot] for slot in slots) for look in looks])
    stray, shares = load_craft().stray_share, load_craft().looks["Kasavu"]
    expected = math.prod((1 - stray) * shares[s][wanted[s]] + stray / len(SLOTS[s]) for s in slots)
    assert seen == pytest.approx(expected, abs=0.03)
    total = sum(math.exp(cluster_log_likelihood(look)["Kasavu"]) for look in set(looks))
    assert 0.02 < total <= 1.0


def test_the_oracle_tells_clusters_apart() -> None:
    rng = rng_for("unit_tests", 5)
    hits = []
    for cluster in CLUSTERS:
        for _ in range(30):
            scores = cluster_log_likelihood(sample_look(cluster, rng))
            hits.append(max(scores, key=scores.get) == cluster)
    assert np.mean(hits) >= 0.95
