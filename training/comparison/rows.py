"""How is the GraphCLIP table written: parts, intervals, differences, unseen classes, and what others published?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from training.comparison.answers import Answers, difference, figures, interval
from training.comparison.unseen import LINKED
from training.comparison.variants import HEADLINE, Variant
from training.metrics.intervals import bootstrap_interval, paired_difference

__all__ = ["PUBLISHED", "GraphClipTable", "Unseen"]

PUBLISHED = (
    "published, other data, not comparable: on ArtGraph, over 100,000 artworks in 32 styles and 18 genres, GraphCLIP "
    "is said to be ahead of the models before it by up to 8 % in F1 for one task and 6 % for two (Scaringi et al. "
    "2025, Knowledge-Based Systems 310, 112857, abstract)"
)
_COLUMNS = ("top2", "top5", "macro_precision", "macro_recall", "macro_f1", "ece_before", "ece_after")


@dataclass
class Unseen:
    """What hold-outs found: (method, announced or later) -> hold-out number -> what `unseen.unseen_job` kept."""

    hold_outs: list[tuple[str, ...]]
    found: dict[tuple[str, str], dict[int, dict[str, Any]]] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """One row a method, way of arriving and number of linked items; every hold-out."""
        head = ["method", "class", "protocol", "linked", "seen", "unseen", "unseen, 95 % over classes", "harmonic"]
        out = [_line(head), _line(["---"] * len(head))]
        for method, arrival, way in self._ways():
            for k in map(str, LINKED):
                if parts := self._parts(method, arrival, way, k):
                    name = f"{method} + bias" if way == "bias" else method
                    means = [_spread([part[what] for part in parts]) for what in ("seen", "unseen", "harmonic")]
                    _, low, high = self._interval(method, arrival, way, k)
                    out.append(
                        _line([name, arrival, _protocol(k), k, *means[:2], f"[{low:.3f}, {high:.3f}]", means[2]])
                    )
        return [*out, "", *self._gains(), "", *self._every_hold_out()]

    def mean(self, method: str, arrival: str, k: str, what: str, *, way: str = "plain") -> list[float]:
        """One figure of all hold-outs."""
        return [part[what] for part in self._parts(method, arrival, way, k)]

    def _ways(self) -> list[tuple[str, str, str]]:
        return [
            (method, arrival, way)
            for (method, arrival), found in self.found.items()
            for way in next(iter(found.values()))["shares"]
        ]

    def _parts(self, method: str, arrival: str, way: str, k: str) -> list[dict[str, float]]:
        found = self.found.get((method, arrival), {})
        return [one["shares"][way][k] for one in found.values() if k in one["shares"].get(way, {})]

    def _interval(self, method: str, arrival: str, way: str, k: str) -> tuple[float, float, float]:
        """Of all hold-outs' unseen images together, resampling classes."""
        found = self.found[method, arrival].values()
        right = np.concatenate([one["right"][way][k]["unseen"] for one in found])
        return bootstrap_interval(right, groups=np.concatenate([one["classes"]["unseen"] for one in found]))

    def _gains(self) -> list[str]:
        """The headline less each rival without a linked image, on the same unseen images, resampling classes."""
        lines = []
        for method, arrival in self.found:
            pair = self._unseen_right(HEADLINE, arrival, "0"), self._unseen_right(method, arrival, "0")
            if method != HEADLINE and all(len(part[0]) for part in pair):
                gain, low, high = paired_difference(pair[0][0], pair[1][0], groups=pair[0][1])
                told = f"{gain:+.3f} [{low:+.3f}, {high:+.3f}]"
                lines.append(f"- {HEADLINE} less {method}, {arrival}, nothing linked, unseen classes: {told}")
        return lines

    def _unseen_right(self, method: str, arrival: str, k: str) -> tuple[np.ndarray, np.ndarray]:
        """How often each unseen image was right, and its class, over all hold-outs."""
        found = [one for one in self.found.get((method, arrival), {}).values() if k in one["right"]["plain"]]
        right = [one["right"]["plain"][k]["unseen"] for one in found]
        classes = [one["classes"]["unseen"] for one in found]
        return np.concatenate([np.zeros(0), *right]), np.concatenate([np.zeros(0, np.int64), *classes])

    def _every_hold_out(self) -> list[str]:
        """Seen / unseen / harmonic of the headline without bias, by number of linked items."""
        lines = []
        for (method, arrival), found in self.found.items():
            if method != HEADLINE:
                continue
            for number, one in sorted(found.items()):
                told = "; ".join(
                    f"k={k}: {part['seen']:.3f} / {part['unseen']:.3f} / {part['harmonic']:.3f}"
                    for k, part in one["shares"]["plain"].items()
                )
                lines.append(f"- {arrival}, hold-out {number + 1}, {', '.join(self.hold_outs[number])}: {told}")
        return lines


@dataclass
class GraphClipTable:
    """All parts of the table."""

    title: str
    answers: dict[str, dict[Variant, dict[int, Answers]]]
    """Division ("random", "no artist twice") -> variant -> seed -> answers."""
    unseen: Unseen | None = None
    records: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Markdown."""
        out: list[str] = []
        for division, found in self.answers.items():
            for part in dict.fromkeys(variant.part for variant in found):
                rows = {variant: answers for variant, answers in found.items() if variant.part == part}
                out += [f"### {part[0].upper()}{part[1:]}; division: {division}", "", *self._part(division, rows), ""]
        if self.unseen is not None and self.unseen.found:
            out += ["### Unseen classes", "", *self.unseen.lines(), ""]
        return [*out, *self.notes, PUBLISHED]

    def top1(self, name: str, *, division: str = "random") -> list[float]:
        """Of each seed; none where the arm was not measured."""
        found = (answers for variant, answers in self.answers[division].items() if variant.name == name)
        return [float(one.hits().mean()) for one in next(found, {}).values()]

    def _part(self, division: str, rows: Mapping[Variant, Mapping[int, Answers]]) -> list[str]:
        head = ["arm", "seeds", "top-1", *(name.replace("_", " ") for name in _COLUMNS), f"top-1 less {HEADLINE}'s"]
        return [_line(head), _line(["---"] * len(head)), *(self._row(division, *row) for row in rows.items())]

    def _row(self, division: str, variant: Variant, answers: Mapping[int, Answers]) -> str:
        found = list(answers.values())
        means, (mean, low, high) = figures(found), interval(found)
        best = next((a for v, a in self.answers[division].items() if v.name == HEADLINE), {})
        gap = None if variant.name == HEADLINE else difference(answers, best)
        told = "–" if gap is None else "{:+.3f} [{:+.3f}, {:+.3f}]".format(*gap)
        return _line(
            [variant.name, str(len(found)), f"{mean:.3f} [{low:.3f}, {high:.3f}]",
             *(f"{means[name]:.3f}" for name in _COLUMNS), told]
        )  # fmt: skip


def _spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values):.3f}"


def _protocol(linked: str) -> str:
    """A: metadata and relations only; B: with linked items."""
    return "A" if linked == "0" else "B"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
