"""What is known of the saree traditions, and how is it drawn: the facts, the vocabulary and the drawing rules?"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kg.errors import SchemaViolation
from kg.rendering.slots import BODIES_WITH_MOTIF, NO_MOTIF, PALLUS_WITH_MOTIF, SLOTS

__all__ = ["Craft", "load_craft"]

_FOLDER = Path(__file__).resolve().parents[2] / "data" / "saree"

Node = tuple[str, dict[str, Any]]
Link = tuple[str, str, str, str, str, dict[str, Any]]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Slot(_Strict):
    """The relation that says a slot's value, and the node type it points to."""

    relation: str
    node_type: str


class Value(_Strict):
    """One drawn value: its node, its words, and for a colour its darkest and lightest RGB."""

    node: str
    words: tuple[str, ...]
    plural: str | None = None
    description: str = ""
    low: tuple[int, int, int] | None = None
    high: tuple[int, int, int] | None = None


class Registration(_Strict):
    """A geographical indication; the year only where sources agree on it."""

    year: int | None = None
    application: int | None = None
    note: str = ""


class ClusterFacts(_Strict):
    """What the sources say of one tradition. `drawn`: slot -> drawn values that they speak of."""

    description: str
    aliases: tuple[str, ...] = ()
    state: str
    district: str
    places: tuple[str, ...]
    materials: tuple[str, ...]
    techniques: tuple[str, ...]
    looms: tuple[str, ...]
    communities: tuple[str, ...] = ()
    motifs: tuple[str, ...]
    not_sourced: tuple[str, ...] = ()
    drawn: dict[str, tuple[str, ...]] = {}
    gi: Registration
    sources: tuple[str, ...]


class Term(_Strict):
    """A technique, motif, material or loom: what it means and of which it is a kind."""

    description: str
    kind_of: str | None = None
    aliases: tuple[str, ...] = ()
    sourced: bool = True


class Craft(_Strict):
    """Facts, vocabulary and drawing rules of `data/saree/`, checked against each other."""

    facts: dict[str, ClusterFacts]
    terms: dict[str, dict[str, Term]]
    slots: dict[str, Slot]
    values: dict[str, dict[str, Value]]
    stray_share: float = Field(ge=0, lt=1)
    stray_colour_share: float = Field(ge=0, lt=1)
    looks: dict[str, dict[str, dict[str, float]]]

    def value(self, slot: str, value: str) -> Value:
        """What the vocabulary says of a slot's value."""
        return self.values[self.slots[slot].node_type][value]

    def supports(self) -> dict[str, dict[str, frozenset[str]]]:
        """Cluster -> slot -> the values that its drawing rules list (for motifs, with "none" where it may be none)."""
        return _supports()

    def nodes(self) -> Iterator[Node]:
        """(label, properties) of every node of the saree graph but the sarees; each (label, name) once."""
        seen: set[tuple[str, str]] = set()
        for label, properties in self._all_nodes():
            if (key := (label, properties["name"])) not in seen:
                seen.add(key)
                yield label, properties

    def relations(self) -> Iterator[Link]:
        """(source label, source name, type, target label, target name, properties) of every relation; each once."""
        drawn = {link[:5]: link[5] for cluster in self.looks for link in self._drawn_links(cluster)}
        for cluster, facts in self.facts.items():
            for link in self._fact_links(cluster, facts):
                drawn[link[:5]] = {**drawn.get(link[:5], {}), **link[5]}
        for link in self._kind_links():
            drawn[link[:5]] = link[5]
        yield from ((*ends, properties) for ends, properties in drawn.items())

    def _all_nodes(self) -> Iterator[Node]:
        for cluster, facts in self.facts.items():
            yield "Cluster", _cluster_properties(cluster, facts)
        for label, terms in self.terms.items():
            for name, term in terms.items():
                yield label, _term_properties(name, term, self._mentioned_by(name))
        for label, values in self.values.items():
            for value in values.values():
                yield label, {"name": value.node, "description": value.description, "source": "drawing vocabulary"}
        for cluster, facts in self.facts.items():
            yield from _place_nodes(cluster, facts)

    def _mentioned_by(self, name: str) -> list[str]:
        return [
            cluster
            for cluster, facts in self.facts.items()
            if name in (*facts.motifs, *facts.techniques, *facts.materials, *facts.looms)
        ]

    def _drawn_links(self, cluster: str) -> Iterator[Link]:
        stated = self.facts[cluster].drawn
        for slot, shares in self.looks[cluster].items():
            carried = self._motif_share(cluster, slot)
            for value, share in shares.items() if carried else ():
                basis = "sources" if value in stated.get(slot, ()) else "drawing rules"
                yield self._cluster_link(cluster, slot, value, round(share * carried, 4), basis)

    def _motif_share(self, cluster: str, slot: str) -> float:
        """How often the cluster's body or pallu carries motifs at all; 1 for every other slot."""
        carrying = {"body_motif": BODIES_WITH_MOTIF, "pallu_motif": PALLUS_WITH_MOTIF}.get(slot)
        if carrying is None:
            return 1.0
        layouts = self.looks[cluster][slot.removesuffix("_motif")]
        return sum(share for value, share in layouts.items() if value in carrying)

    def _cluster_link(self, cluster: str, slot: str, value: str, share: float, basis: str) -> Link:
        rule, target = self.slots[slot], self.value(slot, value).node
        return "Cluster", cluster, rule.relation, rule.node_type, target, {"share": share, "basis": basis}

    def _fact_links(self, cluster: str, facts: ClusterFacts) -> Iterator[Link]:
        for relation, label, names in (
            ("HAS_MOTIF", "Motif", facts.motifs),
            ("USES_TECHNIQUE", "Technique", facts.techniques),
            ("MADE_OF", "Material", facts.materials),
            ("WOVEN_ON", "Loom", facts.looms),
            ("WOVEN_BY", "Community", facts.communities),
        ):
            for name in names:
                basis = "general knowledge" if name in facts.not_sourced else "sources"
                yield "Cluster", cluster, relation, label, name, {"basis": basis}
        for place in facts.places:
            yield "Cluster", cluster, "WOVEN_IN", "Place", _place(place, facts), {"basis": "sources"}
            yield "Place", _place(place, facts), "IN_STATE", "State", facts.state, {}

    def _kind_links(self) -> Iterator[Link]:
        for label in ("Technique", "Motif"):
            for name, term in self.terms[label].items():
                if term.kind_of:
                    basis = "sources" if term.sourced else "general knowledge"
                    yield label, name, "KIND_OF", label, term.kind_of, {"basis": basis}


@cache
def load_craft() -> Craft:
    """Read and check `data/saree/`, once per process.

    Raises: SchemaViolation where the vocabulary and the drawing routines disagree, or a look or a fact names something
        that is not defined.
    """
    facts, vocabulary, looks = (_read(f"{name}.yaml") for name in ("facts", "vocabulary", "looks"))
    try:
        craft = Craft(
            facts=facts["clusters"],
            terms=facts["terms"],
            slots=vocabulary["slots"],
            values=vocabulary["values"],
            stray_share=looks["stray_share"],
            stray_colour_share=looks["stray_colour_share"],
            looks=looks["looks"],
        )
    except (KeyError, ValidationError) as error:
        raise SchemaViolation(f"data/saree: {' '.join(str(error).split())[:400]}; correct the file") from error
    _check(craft)
    return craft


@cache
def _supports() -> dict[str, dict[str, frozenset[str]]]:
    out: dict[str, dict[str, frozenset[str]]] = {}
    for cluster, shares in load_craft().looks.items():
        sets = {slot: frozenset(listed) for slot, listed in shares.items()}
        for slot, carrying in (("body", BODIES_WITH_MOTIF), ("pallu", PALLUS_WITH_MOTIF)):
            if sets[slot] - carrying:
                sets[f"{slot}_motif"] |= {NO_MOTIF}
        out[cluster] = sets
    return out


def _read(name: str) -> dict[str, Any]:
    return yaml.safe_load((_FOLDER / name).read_text(encoding="utf-8"))


# ---- properties ------------------------------------------------------------------------------------------------------


def _cluster_properties(name: str, facts: ClusterFacts) -> dict[str, Any]:
    properties = {
        "name": name,
        "description": facts.description,
        "aliases": list(facts.aliases),
        "district": facts.district,
        "gi_year": facts.gi.year,
        "gi_application": facts.gi.application,
        "gi_note": facts.gi.note or None,
        "source": "; ".join(facts.sources),
    }
    return {key: value for key, value in properties.items() if value is not None}


def _term_properties(name: str, term: Term, clusters: list[str]) -> dict[str, Any]:
    source = f"facts of {', '.join(clusters)}" if clusters else "drawing vocabulary"
    properties: dict[str, Any] = {"name": name, "description": term.description, "source": source}
    return {**properties, "aliases": list(term.aliases)} if term.aliases else properties


def _place_nodes(cluster: str, facts: ClusterFacts) -> Iterator[Node]:
    source = f"facts of {cluster}"
    yield "State", {"name": facts.state, "description": "", "source": source}
    for place in facts.places:
        yield "Place", {"name": _place(place, facts), "description": "", "source": source}
    for community in facts.communities:
        yield "Community", {"name": community, "description": "", "source": source}


def _place(place: str, facts: ClusterFacts) -> str:
    """A place's key carries its state, so that it is never taken for the cluster of the same name."""
    return f"{place}, {facts.state}"


# ---- checks ----------------------------------------------------------------------------------------------------------


def _check(craft: Craft) -> None:
    if set(craft.slots) != set(SLOTS):
        raise SchemaViolation(f"vocabulary.yaml names the slots {sorted(craft.slots)}, the renderer {sorted(SLOTS)}")
    for slot, values in SLOTS.items():
        known = set(craft.values[craft.slots[slot].node_type])
        if missing := set(values) - known - {NO_MOTIF}:
            raise SchemaViolation(f"vocabulary.yaml lacks values of slot {slot!r}: {sorted(missing)}; add them")
    if differing := set(craft.facts) ^ set(craft.looks):
        raise SchemaViolation(f"facts.yaml and looks.yaml differ in the clusters {sorted(differing)}; give each both")
    for cluster, shares in craft.looks.items():
        _check_look(cluster, shares, craft.facts[cluster].drawn)
    _check_names(craft)


def _check_look(cluster: str, shares: dict[str, dict[str, float]], stated: dict[str, tuple[str, ...]]) -> None:
    if missing := set(SLOTS) - set(shares):
        raise SchemaViolation(f"looks.yaml: {cluster} has no shares for {sorted(missing)}; list every slot")
    for slot, listed in shares.items():
        if unknown := set(listed) - set(SLOTS[slot]):
            raise SchemaViolation(f"looks.yaml: {cluster}.{slot} lists {sorted(unknown)}, which cannot be drawn")
        if abs(sum(listed.values()) - 1) > 1e-6:
            raise SchemaViolation(f"looks.yaml: shares of {cluster}.{slot} add up to {sum(listed.values()):.3f}, not 1")
    for slot, values in stated.items():
        if undrawn := set(values) - set(shares[slot]):
            raise SchemaViolation(f"facts.yaml: {cluster}.drawn.{slot} says {sorted(undrawn)}, looks.yaml does not")


def _check_names(craft: Craft) -> None:
    """Every end of every relation must be a node, and no name may stand under two labels."""
    nodes = [(label, properties["name"]) for label, properties in craft.nodes()]
    for source_label, source, kind, target_label, target, _ in craft.relations():
        if missing := {(source_label, source), (target_label, target)} - set(nodes):
            raise SchemaViolation(f"facts.yaml: {source} -{kind}-> {target} needs a term for {sorted(missing)}")
    names = [name for _, name in nodes]
    if double := {name for name in names if names.count(name) > 1}:
        raise SchemaViolation(f"data/saree: {sorted(double)} name nodes of two types; make the names differ")
