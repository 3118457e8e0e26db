"""Do captions stay true, say only what can be seen, and never give a cluster away?"""

import re

import pytest

from kg.rendering import Job, caption, load_craft, render_job, rng_for
from kg.rendering.slots import COLOURS

KINDS = ("attributes", "objects", "scene")
CRAFT = load_craft()


@pytest.fixture(scope="module")
def renderings():
    clusters = list(CRAFT.looks)
    return [render_job(Job("unit_tests", 300 + i, clusters[i % 17] if i % 3 else None, 64)) for i in range(120)]


def _captions(rendering, kind: str, count: int = 6) -> list[str]:
    rng = rng_for("unit_tests", 5000)
    return [caption(rendering, rng, kind=kind) for _ in range(count)]


def _has(text: str, word: str) -> bool:
    return re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) is not None


@pytest.mark.parametrize("kind", KINDS)
def test_no_caption_names_a_cluster_a_place_or_a_state(renderings, kind: str) -> None:
    names = set(CRAFT.facts)
    for facts in CRAFT.facts.values():
        names |= {*facts.aliases, *facts.places, facts.state}
    names |= {word for name in names for word in name.split() if word[0].isupper() and len(word) > 4}
    for rendering in renderings:
        for text in _captions(rendering, kind, 3):
            assert not [name for name in names if _has(text, name)], text


def test_attribute_captions_say_only_what_is_visible(renderings) -> None:
    for rendering in renderings:
        for text in _captions(rendering, "attributes"):
            if "pallu" not in rendering.visible:
                assert "pallu" not in text
            if "border_width" not in rendering.visible:
                assert not any(_has(text, word) for word in ("narrow", "medium", "medium-wide", "broad", "wide"))


def test_attribute_captions_state_the_look_and_nothing_else(renderings) -> None:
    """Every colour word is one of the look's three colours, every motif word one of its motifs."""
    for rendering in renderings:
        look = rendering.look
        own = {look.body_colour, look.border_colour, look.pallu_colour}
        for text in _captions(rendering, "attributes"):
            plain = text.replace("golden", "").replace("silvery", "")
            assert {colour for colour in COLOURS if _has(plain, colour)} <= own
            for motif in ("peacock", "elephant", "conch", "lotus", "parrot", "swan", "fish", "tree", "horse rider"):
                said = _has(plain, motif) or _has(plain, CRAFT.value("body_motif", motif).plural)
                assert not said or motif in (look.body_motif, look.pallu_motif), text


def test_long_captions_are_complete(renderings) -> None:
    """Over several captions of one image, each visible colour slot and the weave get said."""
    rendering = next(r for r in renderings if len(r.visible) == 11)
    told = " ".join(_captions(rendering, "attributes", 40))
    for slot in rendering.visible:
        value = CRAFT.value(slot, rendering.look[slot]) if rendering.look[slot] != "none" or slot == "zari" else None
        assert value is None or any(word in told for word in (*value.words, value.plural or "")), slot


def test_object_captions_name_things_without_attributes(renderings) -> None:
    for rendering in renderings:
        names = {obj.name for obj in rendering.scene.objects}
        for text in _captions(rendering, "objects", 3):
            assert not any(_has(text, colour) for colour in (*COLOURS, "gold", "silver"))
            assert all(_has(text, name) for name in names)


def test_scene_captions_tell_relations_that_hold(renderings) -> None:
    words = {"to the left of": "left of", "left of": "left of", "to the right of": "right of", "right of": "right of",
             "above": "above", "higher than": "above", "below": "below", "lower than": "below", "beside": "beside",
             "next to": "beside", "on": "on"}  # fmt: skip
    pattern = re.compile(rf"^an? (.+?) ({'|'.join(sorted(words, key=len, reverse=True))}) an? (.+)$")
    checked = 0
    for rendering in renderings:
        names = sorted({obj.name for obj in rendering.scene.objects}, key=len, reverse=True)
        for text in _captions(rendering, "scene", 4):
            for part in re.sub(r"^(a saree: |on a saree, )", "", text).split(" and "):
                if match := pattern.match(part):
                    subject, target = (next(n for n in names if side.endswith(n)) for side in match.group(1, 3))
                    assert rendering.scene.holds(subject, words[match.group(2)], target), text
                    checked += 1
    assert checked > 200


def test_captions_are_varied(renderings) -> None:
    texts = _captions(renderings[0], "attributes", 30)
    assert len(set(texts)) > 20
    assert len({len(text.split()) // 6 for text in texts}) > 2
