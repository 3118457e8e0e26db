"""How well does an image-text model read attributes of rendered sarees, and clusters by nothing but them?"""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from kg.encoders.korvai_small import OpenModel, open_model
from kg.rendering import SLOTS, Job, Rendering, load_craft, render_many
from training.phrases import attribute_phrases

__all__ = ["cluster_embeddings", "measure_checkpoint", "phrase_embeddings"]

_RENDER_PX = 224
_FIRST_INDEX = 10_000_000
"""Indices below were drawn for training's own validation."""


def measure_checkpoint(folder: Path, *, images: int = 1020) -> dict[str, Any]:
    """Accuracy per attribute slot on open looks never seen, top-1 among all clusters by attribute matching, images/s.

    Images are drawn at 224 px and go through the model's own preprocessing. Attribute matching is zero-shot: a cluster
    is the mean of its values' phrase embeddings, weighted by its drawing rules; the model saw neither clusters nor
    their looks.
    """
    opened = open_model(folder)
    phrases = phrase_embeddings(opened)
    open_jobs = [Job("checkpoint_valid", _FIRST_INDEX + i, None, _RENDER_PX) for i in range(images)]
    drawn = list(render_many(open_jobs))
    slots = _slot_accuracies(_embed(opened, drawn), drawn, phrases)
    clusters = list(load_craft().looks)
    cluster_jobs = [Job("valid", _FIRST_INDEX + i, clusters[i % len(clusters)], _RENDER_PX) for i in range(images)]
    picks = (_embed(opened, render_many(cluster_jobs)) @ cluster_embeddings(phrases).T).argmax(1).numpy()
    top1 = float(np.mean(picks == np.arange(images) % len(clusters)))
    return {
        "slots": slots,
        "slot_mean": float(np.mean(list(slots.values()))),
        "slot_min": min(slots.values()),
        "cluster_top1_by_attribute_matching": top1,
        "images": images,
        "images_per_s_one_core": _rate_one_core(opened),
    }


def phrase_embeddings(opened: OpenModel) -> dict[str, Tensor]:
    """Slot -> one unit vector per value, the mean over its phrasings. Shapes: (values, dim) each."""
    out: dict[str, Tensor] = {}
    with torch.no_grad():
        for slot, values in SLOTS.items():
            tokens = [opened.tokenizer(list(attribute_phrases(slot, value))) for value in values]
            means = [opened.model.encode_text(each, normalize=True).mean(0) for each in tokens]
            out[slot] = torch.nn.functional.normalize(torch.stack(means), dim=-1)
    return out


def cluster_embeddings(phrases: dict[str, Tensor]) -> Tensor:
    """Unit vectors of all clusters from their drawing rules' shares, in the rules' order. Shapes: (clusters, dim)."""
    rows = []
    for shares in load_craft().looks.values():
        centred = {slot: phrases[slot] - phrases[slot].mean(0) for slot in SLOTS}
        parts = [
            shares[slot].get(v, 0.0) * centred[slot][i] for slot, values in SLOTS.items() for i, v in enumerate(values)
        ]
        rows.append(torch.stack(parts).sum(0))
    return torch.nn.functional.normalize(torch.stack(rows), dim=-1)


def _embed(opened: OpenModel, renderings: Iterable[Rendering], *, batch: int = 64) -> Tensor:
    pixels = [opened.preprocess(Image.fromarray(rendering.image)) for rendering in renderings]
    with torch.no_grad():
        parts = [
            opened.model.encode_image(torch.stack(pixels[i : i + batch]), normalize=True)
            for i in range(0, len(pixels), batch)
        ]
    return torch.cat(parts)


def _slot_accuracies(image: Tensor, drawn: list[Rendering], phrases: dict[str, Tensor]) -> dict[str, float]:
    out = {}
    for slot, values in SLOTS.items():
        picks = (image @ phrases[slot].T).argmax(1).tolist()
        right = [values[pick] == r.look[slot] for pick, r in zip(picks, drawn, strict=True) if slot in r.visible]
        out[slot] = float(np.mean(right))
    return out


def _rate_one_core(opened: OpenModel, *, batch: int = 32, repeats: int = 4) -> float:
    """Images a second of processor time on one thread, preprocessing left out."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    pixels = torch.rand(batch, 3, 112, 112)
    with torch.no_grad():
        opened.model.encode_image(pixels)
        start_s = time.process_time()
        for _ in range(repeats):
            opened.model.encode_image(pixels)
        rate = batch * repeats / (time.process_time() - start_s)
    torch.set_num_threads(threads)
    return rate
