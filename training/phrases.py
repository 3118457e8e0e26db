"""Which words ask whether a saree has one attribute?

Words come from `data/saree/vocabulary.yaml`; the frames around them are below. The checkpoint that ships is trained and
measured with these phrases, and attribute matching scores classes with them.
"""

import re
from functools import cache

from kg.rendering.craft import Value, load_craft
from kg.rendering.slots import NO_MOTIF, SLOTS

__all__ = ["attribute_phrases", "phrase_corpus"]

_FRAMES: dict[str, tuple[str, ...]] = {
    "technique": ("a saree in {}", "a saree woven as {}", "{}"),
    "zari": ("a saree with {}", "a saree woven with {}", "{}"),
    "body_colour": ("a saree with a {} body", "a {} saree", "the body is {}"),
    "body": ("a saree with {a}", "a saree whose field is {a}", "{}"),
    "body_motif": ("a saree with {} on the body", "{} woven over the body", "a body of {}"),
    "border_colour": ("a saree with a {} border", "a {} border", "the border is {}"),
    "border": ("a saree with {a}", "{}", "{a} along the edge"),
    "border_width": ("a saree with a {} border", "a {} border", "the border is {}"),
    "pallu_colour": ("a saree with a {} pallu", "a {} pallu", "the pallu is {}"),
    "pallu": ("a saree with {a}", "{}", "{a} at the end"),
    "pallu_motif": ("a saree with {} on the pallu", "{} woven on the pallu", "a pallu of {}"),
}


@cache
def attribute_phrases(slot: str, value: str) -> tuple[str, ...]:
    """Every way to say that a saree has `value` in `slot`; the plainest comes first."""
    craft = load_craft()
    words = (
        ("no motif", "no motifs") if value == NO_MOTIF and slot.endswith("_motif") else _words(craft.value(slot, value))
    )
    return tuple(_fill(frame, word) for frame in _FRAMES[slot] for word in words)


def phrase_corpus() -> list[str]:
    """Every phrase of every slot's value, and every description: what the tokenizer must be good at."""
    phrases = [
        phrase for slot, values in SLOTS.items() for value in values for phrase in attribute_phrases(slot, value)
    ]
    craft = load_craft()
    descriptions = [value.description for values in craft.values.values() for value in values.values()]
    return phrases + [text for text in descriptions if text]


def _words(value: Value) -> tuple[str, ...]:
    return (value.plural,) if value.plural else value.words


def _fill(frame: str, word: str) -> str:
    """The frame with the word in it; `{a}` is the word with its article."""
    return re.sub(r"\ba (?=[aeiou])", "an ", frame.format(word, a=f"a {word}"))
