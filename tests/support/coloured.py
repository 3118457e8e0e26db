"""What is the smallest graph with real pictures from which something can be learnt?

Clusters of one colour each, with noisy plain pictures; an encoder whose weights nobody trained tells them apart.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from kg.graph import Graph
from kg.store import Store
from tests.support.published import write

__all__ = ["COLOURS", "coloured_graph", "picture", "untrained_encoder"]

COLOURS = {"Red": (190, 20, 30), "Green": (20, 150, 60), "Blue": (30, 40, 190)}

_ITEM = """
MATCH (c:Cluster {name: $cluster})
CREATE (s:Saree {name: $item})-[:OF_CLUSTER]->(c)
CREATE (s)-[:HAS_IMAGE]->(:Image {sha256: $sha256, uri: $uri, width: $width, height: $height})
"""


def coloured_graph(graph: Graph, store: Store, *, per_class: int) -> list[str]:
    """Write the clusters and their items, named `Red/0` …; sha256 of the images in that order."""
    ids = []
    for colour in COLOURS:
        write(graph, "MERGE (c:Cluster:Class {name: $name}) SET c.description = $name + ' silk'", name=colour)
        for number in range(per_class):
            stored = store.put_image(picture(colour, number))
            write(graph, _ITEM, cluster=colour, item=f"{colour}/{number}", **vars(stored))
            ids.append(stored.sha256)
    return ids


def picture(colour: str, seed: int) -> bytes:
    """A noisy plain picture as JPEG; the seed makes it another file."""
    noise = np.random.default_rng(seed).normal(0, 12, (96, 128, 3))
    pixels = np.clip(np.array(COLOURS[colour]) + noise, 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=95)
    return out.getvalue()


def untrained_encoder(folder: Path) -> str:
    """Spec of a small image encoder with random weights, the same each time."""
    import timm
    import torch

    torch.manual_seed(5)
    weights = folder / "resnet10t.pth"
    torch.save(timm.create_model("resnet10t", pretrained=False).state_dict(), weights)
    return f"timm:resnet10t:{weights}"
