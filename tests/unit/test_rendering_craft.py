"""Do facts, vocabulary and drawing rules agree, and do they make a graph that the saree domain can hold?"""

import pytest

from kg.errors import SchemaViolation
from kg.rendering import SLOTS, load_craft
from kg.rendering.craft import Craft, _check
from kg.rendering.slots import MOTIFS
from kg.schema import load_domain

CRAFT = load_craft()


def _changed(**parts) -> Craft:
    return Craft.model_validate({**CRAFT.model_dump(), **parts})


def test_there_are_seventeen_clusters_with_sources() -> None:
    assert len(CRAFT.facts) == 17
    assert all(facts.sources for facts in CRAFT.facts.values())


def test_every_end_of_every_relation_is_a_node_of_the_domain() -> None:
    domain = load_domain("saree")
    nodes = {(label, properties["name"]) for label, properties in CRAFT.nodes()}
    for source_label, source, kind, target_label, target, properties in CRAFT.relations():
        assert {(source_label, source), (target_label, target)} <= nodes
        declared = [r for r in domain.relations if r.edge_type == (source_label, kind, target_label)]
        assert declared, f"{source_label}-{kind}-{target_label} is not in the domain file"
        assert set(properties) <= set(declared[0].properties)


def test_node_properties_are_declared_and_names_are_unique_over_all_labels() -> None:
    domain, names = load_domain("saree"), []
    for label, properties in CRAFT.nodes():
        assert set(properties) - {"name"} <= set(domain.node_type(label).properties)
        names.append(properties["name"])
    assert len(names) == len(set(names))


def test_shares_of_a_slot_add_up_to_what_carries_it() -> None:
    shares: dict[tuple[str, str], float] = {}
    for _, source, kind, _, _, properties in CRAFT.relations():
        if "share" in properties:
            shares[source, kind] = shares.get((source, kind), 0) + properties["share"]
    assert shares["Kanchipuram", "HAS_BORDER"] == pytest.approx(1)
    assert shares["Kasavu", "BODY_MOTIF"] == pytest.approx(CRAFT.looks["Kasavu"]["body"]["butis"])
    assert ("Ilkal", "BODY_MOTIF") not in shares


def test_only_what_a_source_says_is_marked_so() -> None:
    basis = {(link[1], link[2], link[4]): link[5].get("basis") for link in CRAFT.relations()}
    assert basis["Kanchipuram", "HAS_BORDER", "temple border"] == "sources"
    assert basis["Kanchipuram", "BODY_COLOUR", "red"] == "drawing rules"
    assert basis["Pochampally", "HAS_MOTIF", "diamond"] == "general knowledge"
    assert basis["muniya", "KIND_OF", "parrot"] == "sources"


@pytest.mark.parametrize("cluster", ["Maheshwari", "Venkatagiri", "Mangalagiri", "Chanderi", "Paithani", "Gadwal"])
def test_doubtful_registration_years_are_left_out(cluster: str) -> None:
    assert CRAFT.facts[cluster].gi.year is None


def test_every_drawn_motif_is_said_of_some_cluster_or_is_a_term() -> None:
    assert set(MOTIFS) <= set(CRAFT.terms["Motif"])


def test_a_look_with_an_undrawn_value_is_refused() -> None:
    looks = {**CRAFT.looks, "Kasavu": {**CRAFT.looks["Kasavu"], "border": {"fringe": 1.0}}}
    with pytest.raises(SchemaViolation, match=r"Kasavu\.border lists \['fringe'\]"):
        _check(_changed(looks=looks))


def test_shares_that_do_not_add_up_are_refused() -> None:
    looks = {**CRAFT.looks, "Kasavu": {**CRAFT.looks["Kasavu"], "border": {"plain": 0.7}}}
    with pytest.raises(SchemaViolation, match=r"add up to 0\.700"):
        _check(_changed(looks=looks))


def test_a_motif_without_a_term_is_refused() -> None:
    facts = dict(CRAFT.model_dump()["facts"])
    facts["Ilkal"] = {**facts["Ilkal"], "motifs": ("unicorn",)}
    with pytest.raises(SchemaViolation, match="unicorn"):
        _check(_changed(facts=facts))


def test_vocabulary_and_slots_name_the_same_slots() -> None:
    assert list(CRAFT.slots) == list(SLOTS)
