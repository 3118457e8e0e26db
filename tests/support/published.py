"""Which tiny graphs and publications do the tests of publishing and classifying use?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kg.graph import Graph
from kg.publishing.publish import Publication
from kg.schema import Domain, load_domain

__all__ = ["column", "craft", "image_id", "publication", "rows", "softmax", "unit", "write"]


def write(graph: Graph, text: str, **params: Any) -> None:
    """Run a curator's own Cypher that changes the graph."""
    with graph._session("write") as session:
        session.run(text, params).consume()


def rows(graph: Graph, text: str, **params: Any) -> list[list[Any]]:
    """Rows of a curator's own question."""
    return graph.user_query(text, **params)[1]


def column(graph: Graph, text: str, **params: Any) -> list[Any]:
    """The first column of a curator's own question."""
    return [row[0] for row in rows(graph, text, **params)]


def unit(n: int, dim: int, *, seed: int = 0) -> np.ndarray:
    """Random unit vectors, all on one side of the sphere as trained ones are. Shapes: (n, dim) float32."""
    vectors = np.random.default_rng(seed).normal(size=(n, dim)) + 0.7
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def softmax(logits: np.ndarray) -> np.ndarray:
    """In float64. Shapes: (n,) -> (n,)."""
    powers = np.exp(np.asarray(logits, np.float64) - np.max(logits))
    return powers / powers.sum()


def image_id(number: int) -> str:
    """A made-up sha256."""
    return f"{number:064x}"


def craft(graph: Graph, *, classes: int = 3, items: int = 6, domain: str = "saree", task: str = "cluster") -> Domain:
    """Classes c00, c01 …; items i00, i01 … with one image each; item n belongs to class n modulo `classes`."""
    loaded = load_domain(domain)
    asked = loaded.task(task)[1]
    class_key, item_key = loaded.node_type(asked.target).key, loaded.node_type(loaded.item).key
    write(
        graph,
        f"UNWIND range(0, $classes - 1) AS n CREATE (c:`{asked.target}`) SET c.`{class_key}` = 'c' + right('0' + n, 2)",
        classes=classes,
    )
    write(
        graph,
        f"""UNWIND $images AS image
        MATCH (c:`{asked.target}` {{`{class_key}`: 'c' + right('0' + image.n % $classes, 2)}})
        CREATE (i:`{loaded.item}`)-[:`{asked.relation}`]->(c)
        SET i.`{item_key}` = 'i' + right('0' + image.n, 2)
        CREATE (i)-[:HAS_IMAGE]->(:Image {{sha256: image.id, split: image.split}})""",
        images=[{"n": n, "id": image_id(n), "split": ("train", "test")[n % 2]} for n in range(items)],
        classes=classes,
    )
    return loaded


def publication(
    folder: Path, *, classes: int = 3, items: int = 6, dim: int = 8, seed: int = 0, run: str = "run", **changes: Any
) -> Publication:
    """What a run named `run` over `craft`'s graph would publish."""
    tower = folder / f"tower-{run}"
    tower.mkdir(parents=True, exist_ok=True)
    (tower / "weights").write_text(f"weights of {run}")
    values = {
        "domain": "saree",
        "task": "cluster",
        "recipe": "graphclip",
        "run_dir": folder / run,
        "snapshot_hash": "0123456789ab",
        "config": {"run": run},
        "metrics": {"valid_top1": 0.5},
        "dim": dim,
        "scale": 20.0,
        "temperature": 1.5,
        "class_keys": [f"c{n:02}" for n in range(classes)],
        "class_vectors": unit(classes, dim, seed=seed),
        "image_ids": [image_id(n) for n in range(items)],
        "image_vectors": unit(items, dim, seed=seed + 1000),
        "tower_dir": tower,
    }
    return Publication(**{**values, **changes})
