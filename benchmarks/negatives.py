"""How many captions a second get their semantic negatives from stored scenes, parsing apart?

    python -m benchmarks.negatives

In seconds of one processor, since the machine may be busy with other work. On captions of ../shared/data/captions,
parsed beforehand, all five kinds for each caption; and on captions of rendered sarees with their exact scenes.
"""

from __future__ import annotations

import gzip
import random
import statistics
import time
from collections import Counter

import numpy as np

from benchmarks.records import Record
from benchmarks.scenes import CAPTIONS
from kg.rendering import Job, caption, render_job
from kg.scenes.negatives import make_negatives
from kg.scenes.parsing import parse_captions
from kg.scenes.plausible import Plausible
from kg.scenes.scene import Scene, Thing

__all__ = ["measure"]

_COMMAND = "python -m benchmarks.negatives"
_REAL, _DRAWN, _REPEATS = 3_000, 100, 3
_GOAL_PER_S = 5_000


def measure() -> list[Record]:
    """Captions/s and negatives a caption."""
    records: list[Record] = []
    for name, captions, whole in (("", _real(), False), ("rendered_", _rendered(), True)):
        records += _measured(name, captions, whole=whole)
    return records


def _measured(name: str, captions: list[tuple[str, Scene]], *, whole: bool) -> list[Record]:
    plausible = Plausible.of_scenes(scene for _, scene in captions)
    rates, kinds = [], Counter()
    for repeat in range(_REPEATS):
        rng, kinds = random.Random(repeat), Counter()
        began = time.process_time()
        for text, scene in captions:
            kinds.update(made.kind for made in make_negatives(text, scene, plausible, rng=rng, whole=whole))
        rates.append(len(captions) / (time.process_time() - began))
    rate = statistics.mean(rates)
    return [
        Record(
            f"negatives.{name}captions_per_s",
            rate,
            "captions/s",
            _COMMAND,
            baseline=_GOAL_PER_S,
            ratio=rate / _GOAL_PER_S,
            spread=statistics.stdev(rates),
            n=_REPEATS,
        ),
        *(
            Record(f"negatives.{name}{kind}_per_caption", count / len(captions), "negatives", _COMMAND, n=len(captions))
            for kind, count in sorted(kinds.items())
        ),
    ]


def _real() -> list[tuple[str, Scene]]:
    with gzip.open(CAPTIONS, "rt", encoding="utf-8") as file:
        texts = [line.rstrip("\n").split("\t")[2] for line in file][:_REAL]
    return [(text, answer.scene) for text, answer in zip(texts, parse_captions(texts), strict=True)]


def _rendered() -> list[tuple[str, Scene]]:
    found = []
    for index in range(_DRAWN):
        rendering, rng = render_job(Job("suite_train", index, None, 112)), np.random.default_rng(index)
        things = (
            Thing(o.id, o.name, tuple(a.rpartition("=")[2] for a in o.attributes), o.x, o.y, o.w, o.h)
            for o in rendering.scene.objects
        )
        scene = Scene(tuple(things), rendering.scene.relations)
        found += [(caption(rendering, rng, kind="scene"), scene) for _ in range(10)]
    return found


def main() -> None:
    """Print the figures."""
    for record in measure():
        print(f"{record.name:44s} {record.value:12,.3f} {record.unit} ± {record.spread or 0:.0f} (n={record.n})")


if __name__ == "__main__":
    main()
