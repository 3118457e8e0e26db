"""Do both message-passing libraries, over blocks, give what a slow loop over the whole graph gives?"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from kg.errors import RecipeConfigError
from tests.support.memory_snapshot import craft_snapshot
from training.engine import count_parameters
from training.message_passing import open_graph
from training.message_passing.torch_graph import TorchGraph
from training.models.gat import GatLayer, attend
from training.models.hetero import HeteroNetwork
from training.models.sage import parameter_name

pytestmark = pytest.mark.usefixtures("one_thread")

TARGETS = ("Cluster", "Motif")
FORMS = ("sage", "sage-project", "gatv2")
TOLERANCE = {torch.float64: (1e-12, 1e-10), torch.float32: (1e-6, 5e-3)}
"""Relative, on outputs and on gradients."""


@pytest.fixture(scope="module")
def world():
    """A graph with weights, with a node that has no edge, and with edges that are left out."""
    snapshot, _ = craft_snapshot(per_class=4)
    weights = {t: snapshot.shares(t) for t in snapshot.edge_types if snapshot.shares(t) is not None}
    drop = {("Saree", "MADE_IN", "Cluster"): np.arange(24) < 4, ("Saree", "SHOWS", "Motif"): np.arange(24) % 5 == 0}
    return snapshot, weights, drop


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize("form", FORMS)
def test_both_libraries_equal_the_whole_graph(world, form, n_layers, dtype):
    snapshot, weights, drop = world
    if form == "gatv2":
        weights = {}  # attention takes the place of weights
    network, feats = network_and_feats(snapshot, form, n_layers, dtype)
    slow = whole_graph(network, snapshot, feats, weights, drop)
    for library in ("dgl", "torch"):
        fast = over_blocks(network, snapshot, feats, library, weights=weights, drop=drop)
        for name, (exact, found) in {key: (slow[key], fast[key]) for key in slow}.items():
            tolerance = TOLERANCE[dtype]["grad" in name]
            assert (found - exact).norm() <= tolerance * max(1.0, float(exact.norm())), (library, name)


def test_only_live_parameters_exist(world):
    """Whatever a network of ours holds gets a gradient, in every form and depth."""
    snapshot, weights, drop = world
    for form in FORMS:
        network, feats = network_and_feats(snapshot, form, 2, torch.float32)
        over_blocks(network, snapshot, feats, "torch", weights=weights, drop=drop)
        assert count_parameters(network)["dead"] == 0, form


def test_only_senders_are_projected():
    edges = {("Saree", "SHOWS", "Motif"): (np.array([3, 3, 7]), np.array([0, 1, 1]))}
    graph = TorchGraph(edges, {"Saree": 9, "Motif": 2})
    (block,) = graph.blocks({"Motif": torch.arange(2), "Saree": torch.arange(9)}, 1)
    edge_type = block.edge_types[0]
    assert block.senders(edge_type).tolist() == [3, 7]
    sent = torch.tensor([[1.0], [5.0]], requires_grad=True)
    out = block.sum_of_means({edge_type: sent})
    assert out.tolist() == [[1.0], [3.0]]
    out.sum().backward()
    assert sent.grad.tolist() == [[1.5], [0.5]]
    assert block.has_neighbours(edge_type).tolist() == [[1.0], [1.0]]


def test_a_graph_without_any_edge_to_the_seeds_gives_their_own_state(world):
    snapshot, _, _ = world
    everything = {t: np.ones(len(snapshot.edges(t)[0]), bool) for t in snapshot.edge_types}
    network, feats = network_and_feats(snapshot, "sage", 1, torch.float32)
    found = over_blocks(network, snapshot, feats, "torch", weights={}, drop=everything)
    assert torch.allclose(found["Cluster"], network.layers[0].own["Cluster"](feats["Cluster"]))


def test_dgl_refuses_what_its_wheel_cannot(world):
    (block,) = open_graph(world[0]).blocks({"Cluster": torch.arange(6)}, 1)
    assert block.to("cpu") is block
    with pytest.raises(RecipeConfigError, match="message_passing=torch"):
        block.to("cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("form", FORMS)
def test_a_gpu_gives_what_a_cpu_gives(world, form):
    snapshot, weights, drop = world
    network, feats = network_and_feats(snapshot, form, 2, torch.float32)
    cpu = over_blocks(network, snapshot, feats, "torch", weights=weights, drop=drop)
    gpu = over_blocks(network.to("cuda"), snapshot, feats, "torch", weights=weights, drop=drop, device="cuda")
    for name, exact in cpu.items():
        assert (gpu[name].cpu() - exact).norm() <= 5e-3 * max(1.0, float(exact.norm())), name


def network_and_feats(snapshot, form, n_layers, dtype):
    types = [*snapshot.edge_types, *((t, f"rev_{r}", s) for s, r, t in snapshot.edge_types)]
    torch.manual_seed(0)
    network = HeteroNetwork(types, TARGETS, width=8, width_out=5, n_layers=n_layers, form=form, heads=2).to(dtype)
    feats = {label: torch.randn(snapshot.count(label), 8, dtype=dtype) for label in snapshot.node_types}
    return network, feats


def over_blocks(network, snapshot, feats, library, *, device="cpu", **changes):
    """Outputs, and gradients of all parameters and features, of a scalar in which every output counts differently."""
    graph = open_graph(snapshot, library=library, **changes)
    blocks = graph.blocks({label: torch.arange(snapshot.count(label)) for label in TARGETS}, len(network.layers))
    leaves = {label: feat.clone().requires_grad_() for label, feat in feats.items()}
    rows = blocks[0].src_rows
    taken = {label: leaves[label][at].to(device) for label, at in rows.items()}
    return with_gradients(network, network([block.to(device) for block in blocks], taken), leaves)


def whole_graph(network, snapshot, feats, weights, drop):
    """The obvious way: every layer on all nodes, node by node, relation by relation, edge by edge."""
    leaves = {label: feat.clone().requires_grad_() for label, feat in feats.items()}
    states = leaves
    for number, layer in enumerate(network.layers):
        after = {}
        for label in (name for name in states if name in layer.own):
            rows = [slow_node(layer, snapshot, states, label, row, weights, drop) for row in range(len(states[label]))]
            after[label] = torch.stack(rows)
        last = number == len(network.layers) - 1
        states = after if last else {label: feat.relu() for label, feat in after.items()}
    return with_gradients(network, {label: states[label] for label in TARGETS}, leaves)


def slow_node(layer, snapshot, states, label, row, weights, drop):
    out = layer.own[label](states[label][row])
    for s, relation, t in snapshot.edge_types:
        kept = ~drop.get((s, relation, t), np.zeros(len(snapshot.edges((s, relation, t))[0]), bool))
        source, target = (ends[kept] for ends in snapshot.edges((s, relation, t)))
        weight = weights.get((s, relation, t), np.ones(len(kept)))[kept]
        for edge_type, (a, b) in {
            (s, relation, t): (source, target),
            (t, f"rev_{relation}", s): (target, source),
        }.items():
            at = np.flatnonzero(b == row) if edge_type[2] == label else []
            if len(at):
                out = out + slow_message(layer, edge_type, states[edge_type[0]][a[at]], states[label][row], weight[at])
    return out


def slow_message(layer, edge_type, neighbours, own, weight):
    name = parameter_name(edge_type)
    if isinstance(layer, GatLayer):
        return slow_attention(layer.attention[name], neighbours, own)
    if name in layer.project:
        neighbours = layer.project[name](neighbours).relu()
    total = sum(w * n for w, n in zip(weight.tolist(), neighbours, strict=True))
    return layer.neighbours[name](total / weight.sum())


def slow_attention(attention, neighbours, own):
    heads = []
    for said, asked, score in zip(
        attention.source(neighbours).chunk(2, dim=1), attention.target(own).chunk(2), attention.score, strict=True
    ):
        logits = torch.stack([F.leaky_relu(one + asked, 0.2) @ score for one in said])
        heads.append(logits.softmax(0) @ said)
    return torch.stack(heads).mean(0)


def with_gradients(network, outputs, leaves):
    network.zero_grad()
    loss = sum(
        (feat * torch.arange(1, feat.numel() + 1).to(feat).reshape(feat.shape).sin()).sum() for feat in outputs.values()
    )
    loss.backward()
    found = {label: feat.detach() for label, feat in outputs.items()}
    found |= {
        f"grad {name}": parameter.grad.clone()
        for name, parameter in network.named_parameters()
        if parameter.grad is not None
    }
    return found | {f"grad of {label}": leaf.grad for label, leaf in leaves.items() if leaf.grad is not None}


@pytest.mark.parametrize("together", [1, 5, 100])
def test_attention_in_parts_equals_all_edges_at_once(together):
    random = torch.Generator().manual_seed(0)
    dst = torch.cat([torch.arange(4), torch.randint(4, (9,), generator=random)]).sort().values
    src = torch.randint(5, (13,), generator=random)  # of six senders, so one at least says nothing
    said, asked, score = (
        torch.randn(*shape, generator=random, dtype=torch.float64, requires_grad=True)
        for shape in ((6, 3), (4, 3), (3,))
    )
    slow = []
    for v in range(4):
        mine = [int(u) for u, w in zip(src, dst, strict=True) if int(w) == v]
        logits = torch.stack([torch.nn.functional.leaky_relu(said[u] + asked[v], 0.2) @ score for u in mine])
        slow.append(sum(share * said[u] for share, u in zip(logits.softmax(0), mine, strict=True)))
    torch.testing.assert_close(
        attend(said, asked, score, src, dst, together=together), torch.stack(slow), rtol=1e-12, atol=1e-12
    )
    assert torch.autograd.gradcheck(lambda *given: attend(*given, src, dst, together=together), (said, asked, score))
