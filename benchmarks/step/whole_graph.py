"""How long does the published form's step take?

    python -m benchmarks.step.whole_graph GRAPH OUT FORM LAYERS GIB REPEATS

torch_geometric's `to_hetero` of a homogeneous model, over the whole graph for every batch, as the published code does.
It runs where torch_geometric is (KORVAI_BENCH_PYG, a folder on the path), which the project itself does not need.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.step.graph import WIDTH, features, open_training_graph, weights
from benchmarks.step.measuring import batch_loss, report
from training.models.sage import parameter_name

__all__ = ["main"]


class _Published(nn.Module):
    def __init__(self, form: str, n_layers: int) -> None:
        super().__init__()
        from torch_geometric.nn import GATv2Conv, SAGEConv

        both = (WIDTH, WIDTH)
        self.n_layers = n_layers
        for depth in range(n_layers):
            conv = (
                GATv2Conv(both, WIDTH, heads=4, concat=False, add_self_loops=False, residual=True)
                if form == "gatv2"
                else SAGEConv(both, WIDTH, project=form == "sage-project")
            )
            setattr(self, f"conv{depth}", conv)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        for depth in range(self.n_layers):
            x = getattr(self, f"conv{depth}")(x, edge_index)
            if depth < self.n_layers - 1:
                x = x.relu()
        return x


def main() -> None:
    """Measure; figures go to standard output."""
    from torch_geometric.nn import to_hetero

    graph_file, out, form, n_layers, limit_gib, repeats = sys.argv[1:]
    limit = int(float(limit_gib) * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))  # refused memory is an error, not a machine that swaps
    torch.set_num_threads(os.cpu_count() or 1)
    snapshot = open_training_graph(Path(graph_file))
    edges = snapshot.both_ways()
    model = to_hetero(_Published(form, int(n_layers)), (snapshot.node_types, list(edges)), aggr="sum")
    for depth in range(int(n_layers)):
        for edge_type in edges:
            _fill(getattr(model, f"conv{depth}")["__".join(edge_type)], f"{depth}.{parameter_name(edge_type)}")
    feats = {label: torch.from_numpy(features(label, snapshot.count(label))) for label in snapshot.node_types}
    ends = {t: torch.stack([torch.from_numpy(rows) for rows in both]) for t, both in edges.items()}

    def step(batches: int) -> Mapping[str, Tensor]:
        for number in range(batches):
            model.zero_grad(set_to_none=True)
            vectors = model(feats, ends)
            batch_loss(vectors, number=number).backward()
        return vectors

    report(step, Path(out), repeats=int(repeats), batches=1)


def _fill(conv: nn.Module, name: str) -> None:
    names = {"lin.": "project.", "lin_l.weight": "neighbours", "lin_l.bias": "bias", "lin_r.weight": "own"}
    if hasattr(conv, "att"):
        names = {"lin_l.": "source.", "lin_r.": "target.", "att": "score", "res.weight": "own", "bias": "bias"}
    with torch.no_grad():
        for key, parameter in conv.named_parameters():
            theirs = next(theirs for theirs in names if key.startswith(theirs))
            like = parameter[0] if key == "att" else parameter
            value = weights(f"{name}.{names[theirs]}{key[len(theirs) :]}", tuple(like.shape), scale=WIDTH**-0.5)
            like.copy_(torch.from_numpy(value))


if __name__ == "__main__":
    main()
