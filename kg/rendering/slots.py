"""Which attributes does a rendered saree have, and which values can each take?

The values are code, because each one is a drawing routine; `data/saree/vocabulary.yaml` says which node of the graph
and which words stand for them, and `load_craft` refuses a vocabulary that disagrees with this file.
"""

__all__ = [
    "BODIES_WITH_MOTIF",
    "COLOURS",
    "COLOUR_SLOTS",
    "MOTIFS",
    "NO_MOTIF",
    "PALLUS_WITH_MOTIF",
    "SLOTS",
    "allowed_values",
]

COLOURS = (
    "red", "maroon", "pink", "orange", "mustard", "green", "teal",
    "blue", "navy", "purple", "black", "brown", "cream", "grey",
)  # fmt: skip
MOTIFS = (
    "peacock", "parrot", "swan", "lotus", "mango", "coin", "diamond", "elephant",
    "leaf", "flower", "fish", "conch", "tree", "star", "horse rider",
)  # fmt: skip
NO_MOTIF = "none"

SLOTS: dict[str, tuple[str, ...]] = {
    "technique": ("ikat", "extra-weft brocade", "sheer weave", "tapestry weave", "plain weave"),
    "zari": ("none", "gold", "silver"),
    "body_colour": COLOURS,
    "body": ("plain", "checks", "stripes", "butis", "jaal", "diamond lattice", "chequerboard", "compartments"),
    "body_motif": (NO_MOTIF, *MOTIFS),
    "border_colour": COLOURS,
    "border": ("plain", "temple", "scallop", "zigzag", "rudraksha", "brick", "creeper", "diamonds"),
    "border_width": ("narrow", "medium", "broad"),
    "pallu_colour": COLOURS,
    "pallu": ("plain", "stripes", "panels", "zari ground", "bands", "butis"),
    "pallu_motif": (NO_MOTIF, *MOTIFS),
}
"""Slot -> values, in the order in which a look is sampled: a later slot may depend on an earlier one."""

COLOUR_SLOTS = ("body_colour", "border_colour", "pallu_colour")
BODIES_WITH_MOTIF = frozenset({"butis", "jaal", "diamond lattice", "compartments"})
PALLUS_WITH_MOTIF = frozenset({"panels", "zari ground", "bands", "butis"})


def allowed_values(slot: str, chosen: dict[str, str]) -> tuple[str, ...]:
    """The values that `slot` may take once the earlier slots are `chosen`: no motif on a plain field, no zari ground
    without zari.
    """
    if slot == "body_motif":
        return MOTIFS if chosen["body"] in BODIES_WITH_MOTIF else (NO_MOTIF,)
    if slot == "pallu_motif":
        return MOTIFS if chosen["pallu"] in PALLUS_WITH_MOTIF else (NO_MOTIF,)
    if slot == "pallu" and chosen["zari"] == "none":
        return tuple(value for value in SLOTS["pallu"] if value != "zari ground")
    return SLOTS[slot]
