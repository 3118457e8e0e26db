"""What do structureclip and mosaiclip have in common: built from a snapshot or from drawn pictures, batched, measured?

Both are `training.registry.Recipe`s without classes: images and texts share one space, and that is what is published.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from kg.encoders.image import ImageEncoder
from kg.encoders.knowledge import Knowledge
from kg.encoders.tail import front
from kg.scenes.negatives import KINDS, NegativeKind
from kg.scenes.telling import Parser
from kg.schema import TEXT_TASK
from training.registry import Batch, RecipeConfig
from training.structure.batches import KEYS, Inputs, Plan, make_batch
from training.structure.captioned import CaptionedImages
from training.structure.from_snapshot import captioned_images
from training.structure.network import StructureNet, quick_attention

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Answering", "CaptionRecipe", "StructureConfig"]

_AT_ONCE = 256
_VALID_IMAGES = 256


class StructureConfig(RecipeConfig):
    """What both recipes can set."""

    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_steps: int = 20
    batch_size: int = 64
    epochs: int = Field(9, ge=1, description="Passes over the training pictures, one caption a picture and pass.")
    trained_blocks: int = Field(1, ge=1, description="Last blocks of the image tower that learn; the others are kept.")
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "64-true"] = "bf16-mixed"
    parser: Parser = Field(
        "words", description="Who reads captions: the words of the graph's scenes, or kg's parser on spaCy."
    )
    negative_kinds: tuple[NegativeKind, ...] = Field(
        KINDS, description="Kinds of false texts, of kg/scenes/negatives.py."
    )
    negatives_per_text: int = Field(1, ge=0, le=5, description="False texts of each text; 0: none.")
    true_elsewhere: Literal["counted", "ignored"] = Field(
        "counted",
        description="Texts that are true of other pictures of a batch, by their scenes: counted as wrong for those, as "
        "the papers do, or ignored.",
    )
    knowledge_weight: float = Field(
        0.0, ge=0, description="Of the triples' vector beside each text's, Structure-CLIP's idea; 0: without it."
    )
    knowledge_layers: int = Field(2, ge=1, le=12, description="Transformer layers over the triples.")
    scene_facts: int = Field(
        0,
        ge=0,
        le=32,
        description="Triples of each picture's scene a step, each beside a false form; where scenes are exact and "
        "triples are read.",
    )
    facts_weight: float = Field(1.0, ge=0, description="Of those triples.")
    task: str | None = Field(None, description="Not used: the set is published as task `text`.")
    accelerator: Literal["cpu"] = Field("cpu", description="Cached tokens are on the CPU.")
    threads: int = Field(1, ge=1, description="Of torch in training.")
    split_seed: int = Field(0, ge=0, description="Seed of the split of a snapshot's images.")


class CaptionRecipe:
    """The shared members; a recipe adds `plan` and `losses`."""

    data_keys: ClassVar[tuple[str, ...]] = KEYS
    primary_metric: ClassVar[str] = "composed"
    greater_is_better: ClassVar[bool] = True
    images_depend_on_classes: ClassVar[bool] = False
    levels: tuple[str, ...] = ()

    def __init__(self, config: StructureConfig) -> None:
        self.config = config
        self.tasks: tuple[str, ...] = ()

    # -- what a recipe adds --------------------------------------------------------------------------------------------

    def plan(self) -> Plan:
        """What a batch holds."""
        raise NotImplementedError

    def losses(self, batch: Batch, image: Tensor, text: Tensor, false: Tensor) -> dict[str, Tensor]:
        """Losses of plain vectors. Shapes: image (n, dim), text (K, dim), false (m, dim)."""
        raise NotImplementedError

    def known(self, batch: Batch, text: Tensor, false: Tensor) -> tuple[Tensor, Tensor]:
        """True and false texts with what their triples add, where triples are read."""
        if self.net.knowledge is None:
            return text, false
        both = self.net.with_knowledge(torch.cat([text, false]), batch["triples"])
        return both[: len(text)], both[len(text) :]

    # -- the protocol --------------------------------------------------------------------------------------------------

    def build(self, snapshot: Any, encoders: Any) -> None:
        """From a snapshot and its features, or from CaptionedImages and the image encoder that made their tokens.

        Raises: EmptySplit, RecipeConfigError, EncoderError.
        """
        self.snapshot, self.encoders, config = snapshot, encoders, self.config
        drawn = isinstance(snapshot, CaptionedImages)
        self.encoder: ImageEncoder = encoders if drawn else encoders.image_encoder()
        self.data = snapshot if drawn else captioned_images(snapshot, encoders, config)
        self.tasks = (TEXT_TASK,)
        self.net = StructureNet(
            self.encoder,
            blocks=config.trained_blocks,
            knowledge_weight=config.knowledge_weight,
            layers=config.knowledge_layers,
        )
        self.inputs = Inputs(self.encoder.clip.tokenizer, self.data)
        self._train = self.data.of("train")
        self._measured: dict[str, Batch] = {}

    def module(self) -> nn.Module:
        """The towers, and the knowledge encoder where there is one."""
        return self.net

    def batches_per_epoch(self) -> int:
        """Whole batches; what is left over comes another time."""
        return max(1, len(self._train) // self.config.batch_size)

    def start_epoch(self, epoch: int) -> None:
        """Nothing depends on the epoch."""

    def train_batches(self, epoch: int, generator: torch.Generator, start: int) -> Iterator[Batch]:
        """A random order of the pictures; captions and false texts from each batch's own generator."""
        size = min(self.config.batch_size, len(self._train))
        order = self._train[torch.randperm(len(self._train), generator=generator).numpy()]
        for number in range(start, self.batches_per_epoch()):
            rng = random.Random(f"{self.config.rng_seed}/{epoch}/{number}")
            rows = order[number * size : (number + 1) * size]
            yield make_batch(rows, self.data, self.inputs, plan=self.plan(), rng=rng)

    def training_step(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, float]]:
        """The recipe's losses, and that of scenes' facts."""
        with quick_attention(batch["image"].device):
            image = self.net.images(batch["image"])
            both = self.net.plain_texts(_stacked(batch["text"], batch["false"]))
            text, false = both[: len(batch["text"])], both[len(batch["text"]) :]
            # Cosines in half precision are too coarse: two sentences often differ by less.
            with torch.autocast(image.device.type, enabled=False):
                losses = self.losses(batch, image, text, false)
                if len(batch["fact"]):
                    losses["facts_loss"] = self.config.facts_weight * self._of_facts(batch, image)
        return losses, {"scale": float(self.net.scale().detach())}

    def evaluate(self, split: str) -> dict[str, float]:
        """Share of true sentences that are preferred to a false form, share of images found by their caption, and the
        mean of both (`composed`), on at most 256 images of a split."""
        batch = self._batch_of(split)
        image, text, false = self._vectors(batch)
        cosines = image @ text.T
        found = batch["belongs"][cosines.argmax(0), torch.arange(len(text))].float().mean()
        true = (image[batch["false_image"]] * text[batch["false_of"]]).sum(1)
        wrong = (image[batch["false_image"]] * false).sum(1)
        preferred = (true > wrong).float().mean() if len(false) else torch.tensor(0.5)
        return {
            "composed": float((found + preferred) / 2),
            "preferred": float(preferred),
            "found_top1": float(found),
            "examples": float(len(image)),
        }

    def encode_images(self, images: Any) -> Tensor:
        """Unit vectors from the frozen blocks' tokens. Shapes: (n, tokens, width) -> (n, dim)."""
        parts = np.array_split(np.arange(len(images)), max(1, -(-len(images) // _AT_ONCE)))
        with torch.inference_mode():
            found = [self.net.images(torch.as_tensor(np.asarray(images[rows], np.float32))) for rows in parts]
        return torch.cat(found)

    def encode_texts(self, texts: Sequence[str], *, knowledge: bool = True) -> Tensor:
        """Unit vectors; every text is read by the same reader, true or false. Shapes: (texts, dim)."""
        order = sorted(range(len(texts)), key=lambda n: len(texts[n]))
        made = torch.zeros(len(texts), self.net.dim)
        with torch.inference_mode():
            for start in range(0, len(order), _AT_ONCE):
                rows = order[start : start + _AT_ONCE]
                part = [texts[n] for n in rows]
                with_them = knowledge and self.net.knowledge is not None
                made[rows] = self.net.texts(self.inputs.tokens(part), self.inputs.triples(part) if with_them else None)
        return made

    def encode_classes(self, snapshot: Any, classes: Sequence[str] | None = None) -> Tensor:
        """Never: there are no classes. Raises: NotImplementedError."""
        raise NotImplementedError("recipes that learn from captions have no classes; ask by text")

    # -- a run's, see training/run_text.py -----------------------------------------------------------------------------

    temperature: float = 1.0

    def network(self) -> nn.Module:
        """What a finished run keeps the weights of."""
        return self.net

    def frozen_splits(self) -> dict[str, list[str]]:
        """Split -> sha256 of its images."""
        sha256 = self.snapshot.images.sha256
        return {split: [sha256[row] for row in rows] for split, rows in self.data.rows.items()}

    def splits(self) -> tuple[str, ...]:
        """Splits beside train that have captioned images."""
        known = self.data.captions_of
        return tuple(s for s in self.data.rows if s != "train" and any(row in known for row in self.data.rows[s]))

    def trained_encoder(self) -> ImageEncoder:
        """The image-text model as it is now, as an encoder of its own; without the knowledge encoder."""
        return self.net.trained(self.encoder)

    def knowledge(self) -> Knowledge | None:
        """What reads the triples of a text, as it is now; None where no triples are read."""
        if self.net.knowledge is None:
            return None
        form = {"weight": self.net.knowledge_weight, "parser": self.config.parser}
        return Knowledge(deepcopy(self.net.knowledge), self.data.words, **form)

    def suite_model(self) -> Answering:
        """What answers a public suite: pictures and texts as this recipe sees them, triples included."""
        self.net.eval()
        return Answering(self)

    # -- beneath -------------------------------------------------------------------------------------------------------

    def planned(self, *, subgraphs: int) -> Plan:
        """What the configuration says of a batch."""
        config = self.config
        triples, ignore = config.knowledge_weight > 0, config.true_elsewhere == "ignored"
        facts = config.scene_facts if triples else 0
        form = {"triples": triples, "ignore": ignore, "facts": facts}
        return Plan(subgraphs, config.negatives_per_text, config.negative_kinds, **form)

    def _of_facts(self, batch: Batch, image: Tensor) -> Tensor:
        """How far is a picture from saying what its scene says?

        L = mean softplus(s (<u, k_false> - <u, k_true>)), k the knowledge of one triple, s the scale. Ours.
        """
        told, at = torch.cat([batch["fact"], batch["turned"]]).unique(dim=0, return_inverse=True)
        both = self.net.knowledge(told)[at]
        true, false = (image[batch["fact_image"]] * part for part in both.split(len(batch["fact"])))
        return F.softplus(self.net.scale() * (false - true).sum(1)).mean()

    def _batch_of(self, split: str) -> Batch:
        """The same pictures, captions and false texts at every validation, of every recipe."""
        if split not in self._measured:
            rng = random.Random(f"measured/{split}")
            rows = self.data.of(split)[:_VALID_IMAGES]
            plan = Plan(triples=self.net.knowledge is not None)
            self._measured[split] = make_batch(rows, self.data, self.inputs, plan=plan, rng=rng)
        return self._measured[split]

    def _vectors(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        image = self.net.images(batch["image"])
        triples = batch["triples"] if self.net.knowledge is not None else None
        both = self.net.texts(_stacked(batch["text"], batch["false"]), triples)
        return image, both[: len(batch["text"])], both[len(batch["text"]) :]


class Answering:
    """A recipe as training/suite_models.py asks it."""

    def __init__(self, recipe: CaptionRecipe) -> None:
        self._recipe = recipe

    def encode_images(self, images: Sequence[Image]) -> np.ndarray:
        """Unit vectors of pictures. Shapes: -> (n, dim)."""
        encoder, blocks = self._recipe.encoder, self._recipe.config.trained_blocks
        pixels = torch.stack([encoder.preprocess(image) for image in images])
        return self._recipe.encode_images(front(encoder, pixels, blocks=blocks)).numpy()

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors of texts. Shapes: -> (n, dim)."""
        return self._recipe.encode_texts(texts).numpy()


def _stacked(text: Tensor, false: Tensor) -> Tensor:
    return torch.cat([text, false]) if len(false) else text
