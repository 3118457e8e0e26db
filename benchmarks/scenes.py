"""How much of what real captions say do parsers find, and how fast?

    python -m benchmarks.scenes [--show]

On 100 captions that a reader has checked (checked_captions.tsv; the texts are read from ../shared/data/captions), our
rules beside SceneGraphParser on the same spaCy model, and on 1,000 more captions for the rate.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks.records import Record
from kg.scenes.parsing import DEFAULT_MODEL, Parsed, parse_captions
from kg.scenes.scene import Scene, Thing

__all__ = ["CAPTIONS", "measure"]

_CHECKED = Path(__file__).with_name("checked_captions.tsv")
CAPTIONS = Path(__file__).parents[2] / "shared" / "data" / "captions" / "coco_val_captions.tsv.gz"
_COMMAND = "python -m benchmarks.scenes"
_FOR_THE_RATE = 1_000
_PRONOUNS = {"it", "its", "he", "she", "they", "we", "you", "i", "that", "which", "who", "something", "there"}

Facts = dict[str, set[tuple[str, ...]]]
Parser = Callable[[Sequence[str]], Iterable[Parsed]]


def measure(*, show: bool = False) -> list[Record]:
    """Precision and recall of things, attributes and relations, captions/s, failures."""
    if not CAPTIONS.is_file():
        raise RuntimeError(f"{CAPTIONS} is absent; the checked captions' texts come from there")
    with gzip.open(CAPTIONS, "rt", encoding="utf-8") as file:
        texts = [line.rstrip("\n").split("\t")[2] for line in file]
    checked = _checked()
    records: list[Record] = []
    for name, parser in (("sng", _sng), ("korvai", parse_captions)):
        parsed = list(parser([texts[row] for row in checked]))
        records += _quality(name, checked, parsed)
        if show and name == "korvai":
            _show(texts, checked, parsed)
        records.append(_rate(name, parser, texts))
    return records


def _checked() -> dict[int, Facts]:
    with _CHECKED.open(encoding="utf-8") as file:
        rows = csv.DictReader((line for line in file if not line.startswith("#")), delimiter="\t")
        return {
            int(row["row"]): {
                "objects": {(name,) for name in _parts(row["objects"])},
                "attributes": {tuple(part.split(".", 1)) for part in _parts(row["attributes"])},
                "relations": {tuple(map(str.strip, part.split(">"))) for part in _parts(row["relations"])},
            }
            for row in rows
        }


def _parts(cell: str | None) -> list[str]:
    return [part.strip() for part in (cell or "").split(";") if part.strip()]


def _facts(scene: Scene) -> Facts:
    return {
        "objects": {(thing.name,) for thing in scene.objects},
        "attributes": {tuple(pair) for pair in scene.attributed()},
        "relations": {tuple(triple) for triple in scene.triples()},
    }


def _quality(name: str, checked: dict[int, Facts], parsed: list[Parsed]) -> list[Record]:
    records = []
    for part in ("objects", "attributes", "relations", "pairs"):
        counts: Counter[str] = Counter()
        for truth, answer in zip(checked.values(), parsed, strict=True):
            wanted, got = _of(truth, part), _of(_facts(answer.scene), part)
            counts += Counter(wanted=len(wanted), got=len(got), both=len(wanted & got))
        for what, whole in (("precision", "got"), ("recall", "wanted")):
            value = counts["both"] / max(counts[whole], 1)
            records.append(Record(f"parse.{name}.{part}_{what}", value, "share", _COMMAND, n=counts[whole]))
    return records


def _of(facts: Facts, part: str) -> set[tuple[str, ...]]:
    """`pairs`: who stands in a relation to whom, whatever its name."""
    return {(s, o) for s, _, o in facts["relations"]} if part == "pairs" else facts[part]


def _rate(name: str, parser: Parser, texts: list[str]) -> Record:
    chosen = texts[:: len(texts) // _FOR_THE_RATE][:_FOR_THE_RATE]
    began = time.perf_counter()
    failed = Counter(answer.why for answer in parser(chosen) if answer.why)
    seconds = time.perf_counter() - began
    print(f"{name}: {sum(failed.values())} of {len(chosen)} captions failed: {dict(failed)}")
    return Record(f"parse.{name}.captions_per_s", len(chosen) / seconds, "captions/s", _COMMAND, n=len(chosen))


def _sng(texts: Sequence[str]) -> Iterable[Parsed]:
    """SceneGraphParser 0.1.0, its articles and pronouns left out, so that both keep to the same conventions."""
    import sng_parser

    parser = sng_parser.Parser("spacy", model=DEFAULT_MODEL)
    for text in texts:
        graph = parser.parse(text)
        kept = {n: e for n, e in enumerate(graph["entities"]) if e["lemma_head"].lower() not in _PRONOUNS}
        things = [Thing(str(n), e["lemma_head"].lower(), tuple(_modifiers(e))) for n, e in kept.items()]
        relations = [
            (str(r["subject"]), r["lemma_relation"].lower(), str(r["object"]))
            for r in graph["relations"]
            if {r["subject"], r["object"]} <= kept.keys()
        ]
        yield Parsed(Scene(tuple(things), tuple(relations)), "" if things else "names no thing")


def _modifiers(entity: dict) -> list[str]:
    return [m["lemma_span"].lower() for m in entity["modifiers"] if m["dep"] not in ("det", "poss")]


def _show(texts: list[str], checked: dict[int, Facts], parsed: list[Parsed]) -> None:
    for (row, truth), answer in zip(checked.items(), parsed, strict=True):
        got = _facts(answer.scene)
        for part in ("objects", "attributes", "relations"):
            if got[part] != truth[part]:
                missed, wrong = sorted(truth[part] - got[part]), sorted(got[part] - truth[part])
                print(f"{row} {texts[row]}\n   {part}: missed {missed} wrong {wrong}")


def main() -> None:
    """Print the figures; with --show what each caption missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--show", action="store_true")
    for record in measure(show=parser.parse_args().show):
        print(f"{record.name:36s} {record.value:10.3f} {record.unit} (n={record.n})")


if __name__ == "__main__":
    main()
