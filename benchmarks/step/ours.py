"""How long does our step take? `python -m benchmarks.step.ours GRAPH OUT FORM LAYERS LIBRARY BATCHES REPEATS`"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.step.graph import TARGETS, WIDTH, features, open_training_graph, weights
from benchmarks.step.measuring import batch_loss, report
from training.allocator import freed_memory_kept
from training.message_passing import open_graph
from training.models.gat import GatLayer
from training.models.hetero import HeteroNetwork
from training.models.sage import parameter_name

__all__ = ["main"]


def main() -> None:
    """Measure; figures go to standard output."""
    graph_file, out, form, n_layers, library, batches, repeats = sys.argv[1:]
    torch.set_num_threads(os.cpu_count() or 1)
    snapshot = open_training_graph(Path(graph_file))
    graph = open_graph(snapshot, library=library)
    blocks = graph.blocks({label: torch.arange(snapshot.count(label)) for label in TARGETS}, int(n_layers))
    types = list(snapshot.both_ways())
    network = HeteroNetwork(types, TARGETS, width=WIDTH, width_out=WIDTH, n_layers=int(n_layers), form=form)
    _fill(network, types)
    rows = blocks[0].src_rows
    feats = {label: torch.from_numpy(features(label, snapshot.count(label)))[at] for label, at in rows.items()}

    def step(batches: int) -> Mapping[str, Tensor]:
        network.zero_grad(set_to_none=True)
        vectors = network(blocks, feats)
        sum(batch_loss(vectors, number=number) for number in range(batches)).backward()
        return vectors

    with freed_memory_kept():  # as `korvai train` has it
        report(step, Path(out), repeats=int(repeats), batches=int(batches), count_flop=True)


def _fill(network: nn.Module, types: list[tuple[str, str, str]]) -> None:
    """The rival's weights: its self-projections and biases of all relations into a label, summed."""
    with torch.no_grad():
        for depth, layer in enumerate(network.layers):
            for label, own in layer.own.items():
                into = [f"{depth}.{parameter_name(t)}" for t in types if t[2] == label]
                own.weight.copy_(sum(_weight(f"{name}.own", own.weight) for name in into))
                own.bias.copy_(sum(_weight(f"{name}.bias", own.bias) for name in into))
            parts = layer.attention if isinstance(layer, GatLayer) else {**layer.neighbours}
            for name, part in parts.items():
                if not isinstance(layer, GatLayer):
                    part.weight.copy_(_weight(f"{depth}.{name}.neighbours", part.weight))
                    continue
                part.score.copy_(_weight(f"{depth}.{name}.score", part.score))
                for side in ("source", "target"):
                    _copy(getattr(part, side), f"{depth}.{name}.{side}")
            for name, part in getattr(layer, "project", {}).items():
                _copy(part, f"{depth}.{name}.project")


def _copy(linear: nn.Linear, name: str) -> None:
    linear.weight.copy_(_weight(f"{name}.weight", linear.weight))
    linear.bias.copy_(_weight(f"{name}.bias", linear.bias))


def _weight(name: str, like: Tensor) -> Tensor:
    return torch.from_numpy(weights(name, tuple(like.shape), scale=WIDTH**-0.5))


if __name__ == "__main__":
    main()
