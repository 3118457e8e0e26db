"""What is in the files of a public suite, as far as they can be read?

    sugarcrepe   one JSON object a category: {key: {filename, caption, negative_caption}}, keys in any order, with gaps
    aro          JSON lists: {image_path, bbox_x …, true_caption, false_caption, relation_name | attributes}
    aro-order    a JSON list of {image, caption: [sentences]}; the four shuffles are made here
    crepe        CSV files by their names: syst_*_(un)seen_compounds_*, prod_*_<negatives>_complexity_<4..12>
    retrieval    a JSON list of {image, caption: [sentences]}; all captions are answers to all pictures
    winoground   JSON lines: {image_0, image_1, caption_0, caption_1, collapsed_tag}

Only these layouts are tested, with files of our own: the suites themselves are not at hand. What an entry lacks is
counted by its reason. An image of which only a box is meant is called `name#xywh=x,y,w,h`.

Reference: Hsieh et al. 2023 (SugarCrepe), Yuksekgonul et al. 2023 (ARO: mean over relations but the ones in
data/scenes/aro_relations.yaml, and over pairs of attributes that are asked at least 25 times), Ma et al. 2023 (CREPE),
Thrush et al. 2022 (Winoground).
"""

from __future__ import annotations

import ast
import csv
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from kg.errors import SchemaViolation
from training.suites import Question, Suite
from training.word_order import shuffled

__all__ = ["READERS", "read_suite"]

_ARO_WORDS = Path(__file__).parents[1] / "data" / "scenes" / "aro_relations.yaml"
_LEAST_OF_A_PAIR = 25
_ENDINGS = (".jpg", ".png", ".jpeg", ".webp")
_BOX = ("bbox_x", "bbox_y", "bbox_w", "bbox_h")
_CSV_BOX = ("x", "y", "width", "height")
_COMPLEXITY = re.compile(r"_(\w+?)_complexity_(\d+)$")
_NEGATIVES = {"hard_negs": "", "valid_hard_negs_atom": "atom", "valid_hard_negs_comp": "comp"}

Entry = tuple[str, Mapping[str, Any] | Any]
Found = Iterator[Question | str]


class Reader(NamedTuple):
    """Which files, and what an entry of one says: questions, or why there are none."""

    pattern: str
    questions: Callable[[str, Mapping[str, Any]], Found]


def read_suite(name: str, path: Path, *, images: Path | None = None) -> Suite:
    """Questions of a suite's file, or of a folder of its files; `images` is the folder with its pictures.

    Raises: SchemaViolation (unknown suite, nothing to read, malformed file, no usable entry).
    """
    if name not in READERS:
        raise SchemaViolation(f"evaluate-structure {name!r}: no such suite; choose {', '.join(READERS)} or rendered")
    reader, left_out = READERS[name], Counter[str]()
    files = sorted(path.rglob(reader.pattern)) if path.is_dir() else [path]
    questions: list[Question] = []
    for file in files:
        for category, entry in _entries(file, left_out):
            found = reader.questions(category, entry) if isinstance(entry, Mapping) else ["not an object"]
            for question in found:
                if isinstance(question, str):
                    left_out[question] += 1
                else:
                    questions.append(question)
    if name == "aro":
        questions = _often_enough(questions, left_out)
    if not questions:
        raise SchemaViolation(f"{path}: no entry of {name} could be read ({dict(left_out) or 'no files'})")
    pictures = None if images is None else _pictures(images, {image for q in questions for image in q.images})
    return Suite(name, questions, left_out, pictures, over_kinds=name == "aro")


def _pictures(folder: Path, names: Iterable[str]) -> dict[str, Path]:
    """The files that are there; some suites name them without an ending."""
    found = {}
    for name in names:
        plain = folder / name.partition("#")[0]
        there = next((path for end in ("", *_ENDINGS) if (path := plain.with_name(plain.name + end)).is_file()), None)
        if there is not None:
            found[name] = there
    return found


# ---- files -----------------------------------------------------------------------------------------------------------


def _entries(file: Path, left_out: Counter[str]) -> Iterator[Entry]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise SchemaViolation(f"{file}: cannot be read ({error})") from error
    if file.suffix == ".csv":
        yield from _rows(file, text)
    elif file.suffix == ".jsonl":
        yield from _lines(file, text, left_out)
    else:
        try:
            held = json.loads(text)
        except ValueError as error:
            raise SchemaViolation(f"{file}: cannot be read as JSON ({error})") from error
        if not isinstance(held, list | dict):
            raise SchemaViolation(f"{file}: holds a {type(held).__name__}, neither a list nor an object")
        yield from ((file.stem, entry) for entry in (held.values() if isinstance(held, dict) else held))


def _lines(file: Path, text: str, left_out: Counter[str]) -> Iterator[Entry]:
    for line in filter(str.strip, text.splitlines()):
        try:
            yield file.stem, json.loads(line)
        except ValueError:
            left_out["line that is no JSON"] += 1


def _rows(file: Path, text: str) -> Iterator[Entry]:
    csv.field_size_limit(sys.maxsize)
    rows = csv.DictReader(text.splitlines(keepends=True))
    if not {"image_id", "caption"} <= set(rows.fieldnames or ()):
        raise SchemaViolation(f"{file}: has no columns image_id and caption, but {rows.fieldnames}; is it CREPE's?")
    yield from ((file.stem, row) for row in rows)


# ---- entries ---------------------------------------------------------------------------------------------------------


def _sugarcrepe(category: str, entry: Mapping[str, Any]) -> Found:
    yield _question(category, entry.get("filename"), [entry.get("caption"), entry.get("negative_caption")])


def _aro(_: str, entry: Mapping[str, Any]) -> Found:
    relation, attributes = entry.get("relation_name"), entry.get("attributes")
    if isinstance(relation, str) and relation in _without_direction():
        yield "relation that the protocol leaves out"
        return
    pair = "_".join(map(str, attributes)) if isinstance(attributes, list) and attributes else ""
    category, kind = ("attribution", pair) if pair else ("relation", str(relation or "relation without name"))
    image = _boxed(entry.get("image_path", entry.get("image_id")), [entry.get(side) for side in _BOX])
    yield _question(category, image, [entry.get("true_caption"), entry.get("false_caption")], kind)


def _aro_order(_: str, entry: Mapping[str, Any]) -> Found:
    captions = entry.get("caption")
    for caption in captions if isinstance(captions, list) and captions else [captions]:
        if not isinstance(caption, str) or not caption.strip():
            yield "entry without image or caption"
            continue
        true, others = shuffled(caption)
        yield from (_question(kind, entry.get("image"), [true, other]) for kind, other in others.items())
        differing = [other for other in others.values() if other != true]
        if differing:
            yield _question("all shuffles", entry.get("image"), [true, *differing])


def _retrieval(category: str, entry: Mapping[str, Any]) -> Found:
    captions = entry.get("caption")
    for caption in captions if isinstance(captions, list) and captions else [captions]:
        yield _question(category, entry.get("image"), [caption])


def _crepe(file: str, entry: Mapping[str, Any]) -> Found:
    image = _boxed(entry.get("image_id"), [entry.get(side) for side in _CSV_BOX])
    for column, named in _NEGATIVES.items():
        if entry.get(column) is None:
            continue
        category, kind = _crepe_category(file, named)
        try:
            negatives = ast.literal_eval(entry[column]) if entry[column].strip() else []
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            yield "list of negatives that cannot be read"
            continue
        if isinstance(negatives, list) and negatives:
            yield _question(category, image, [entry.get("caption"), *negatives], kind)
        else:
            yield "entry without negatives"


def _crepe_category(file: str, negatives: str) -> tuple[str, str]:
    if found := _COMPLEXITY.search(file):
        return f"productivity, {found[1].rpartition('_')[2]}", f"complexity {int(found[2]):02}"
    seen = "unseen" if "unseen" in file else "seen" if "seen" in file else file
    return f"systematicity, {seen} compounds", negatives


def _winoground(_: str, entry: Mapping[str, Any]) -> Found:
    values = [entry.get(name) for name in ("image_0", "image_1", "caption_0", "caption_1")]
    if not all(isinstance(value, str) and value.strip() for value in values):
        yield "entry without image or caption"
        return
    tag = entry.get("collapsed_tag")
    yield Question("", tuple(values[:2]), tuple(values[2:]), tag if isinstance(tag, str) else "")


READERS: dict[str, Reader] = {
    "sugarcrepe": Reader("*.json", _sugarcrepe),
    "aro": Reader("*.json", _aro),
    "aro-order": Reader("*.json", _aro_order),
    "crepe": Reader("*.csv", _crepe),
    "retrieval": Reader("*.json", _retrieval),
    "winoground": Reader("*.jsonl", _winoground),
}


def _question(category: str, image: Any, texts: list[Any], kind: str = "") -> Question | str:
    if isinstance(image, int) and not isinstance(image, bool):
        image = str(image)
    if not all(isinstance(value, str) and value.strip() for value in (image, *texts)):
        return "entry without image or caption"
    if texts[0] in texts[1:]:
        return "both captions are the same"
    return Question(category, (image,), tuple(texts), kind)


def _boxed(image: Any, box: list[Any]) -> Any:
    """The image's name with its box, where it has one."""
    try:
        sides = [round(float(side)) for side in box]
    except (TypeError, ValueError, OverflowError):
        return image
    return f"{image}#xywh={','.join(map(str, sides))}" if image not in (None, "") else image


def _often_enough(questions: list[Question], left_out: Counter[str]) -> list[Question]:
    asked = Counter(q.kind for q in questions if q.category == "attribution")
    kept = [q for q in questions if q.category != "attribution" or asked[q.kind] >= _LEAST_OF_A_PAIR]
    if rare := len(questions) - len(kept):
        left_out[f"pair of attributes asked less than {_LEAST_OF_A_PAIR} times"] += rare
    return kept


@cache
def _without_direction() -> frozenset[str]:
    return frozenset(yaml.safe_load(_ARO_WORDS.read_text(encoding="utf-8"))["left_out"])
