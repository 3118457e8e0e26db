"""How right is a recipe on the rendered suite, part by part, and does it find fresh pictures by their caption?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from training.structure.recipe import CaptionRecipe
from training.suites import Suite

__all__ = ["LONG", "UNSEEN", "errors_removed", "retrieval_top1", "suite_figures"]

LONG, UNSEEN = "length_8_up", "unseen_compounds"
_FROM_LENGTH = 8
_COMPOUNDS = ("held_out_attribute_object", "held_out_object_relation")


def suite_figures(
    recipe: CaptionRecipe, suite: Suite, tokens: np.ndarray, *, knowledge: bool = True
) -> dict[str, float]:
    """Share of questions in which the true sentence is nearer to its picture: each part, each kind within a part
    (`part/kind`), sentences of length 8 and more, unseen compounds, and the mean over parts.

    A tie is wrong. `knowledge`: with what triples add to texts, where the recipe has that.
    Shapes: tokens (questions, tokens, width), one picture a question in the suite's order.
    """
    questions = suite.questions
    image = recipe.encode_images(tokens)
    texts = list(dict.fromkeys(text for question in questions for text in question.texts))
    row = {text: n for n, text in enumerate(texts)}
    text = recipe.encode_texts(texts, knowledge=knowledge)
    true, false = (text[[row[question.texts[side]] for question in questions]] for side in (0, 1))
    right = ((image * true).sum(1) > (image * false).sum(1)).numpy()
    return _shares(questions, right)


def retrieval_top1(recipe: CaptionRecipe, tokens: np.ndarray, captions: Sequence[str]) -> dict[str, float]:
    """Share of pictures found by their caption, and of captions by their picture, among all of them.

    Shapes: tokens (n, tokens, width), captions (n,). Where two captions are the same words, either is right.
    """
    image, text = recipe.encode_images(tokens), recipe.encode_texts(captions)
    cosines = (image @ text.T).numpy()
    said = np.asarray(captions)
    by_text, by_image = said[cosines.argmax(0)] == said, said[cosines.argmax(1)] == said
    return {"image_top1": float(np.mean(by_text)), "text_top1": float(np.mean(by_image))}


def _shares(questions: Sequence[Any], right: np.ndarray) -> dict[str, float]:
    groups: dict[str, list[bool]] = {}
    for question, answer in zip(questions, right.tolist(), strict=True):
        for name in _names(question):
            groups.setdefault(name, []).append(answer)
    shares = {name: float(np.mean(answers)) for name, answers in sorted(groups.items())}
    parts = [value for name, value in shares.items() if "/" not in name and name not in (LONG, UNSEEN)]
    return {**shares, "mean": float(np.mean(parts))}


def _names(question: Any) -> list[str]:
    names = [question.category]
    if question.kind:
        names.append(f"{question.category}/{question.kind}")
    if question.category == "length" and int(question.kind.rpartition(" ")[2]) >= _FROM_LENGTH:
        names.append(LONG)
    if question.category in _COMPOUNDS:
        names.append(UNSEEN)
    return names


def errors_removed(ours: Mapping[str, float], others: Mapping[str, float], part: str) -> float:
    """Share of the others' errors that we do not make. Not a number where they make none."""
    theirs = 1 - others[part]
    return 1 - (1 - ours[part]) / theirs if theirs else float("nan")
