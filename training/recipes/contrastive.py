"""How does a small image-text model learn to read the attributes of rendered sarees, from nothing?

Two losses on the image embedding make what is wanted: InfoNCE with captions, and cross-entropy of its cosines with the
phrases of each attribute's values (attributes are read through text). Alone they start at a saddle: phrases of one slot
are all alike to an untrained text tower, so images learn nothing from them, and the other way round. Training aids,
which do not ship, lead away from it: linear heads on the trunk's features, and one free prototype a value, which
images are pulled to and phrases learn to name. All losses on images count only what can be seen in the picture.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from kg.errors import EmptySplit, RecipeConfigError
from kg.rendering.slots import SLOTS
from training.losses.contrastive import info_nce, masked_cross_entropy, naming_loss, slot_scores
from training.phrases import attribute_phrases
from training.pool import PLACES, SHARD_IMAGES, STORED_PX, UNKNOWN, Pool, Shard
from training.registry import Batch, RecipeConfig, recipe

__all__ = ["Config", "Contrastive", "Pools", "encode_tokens"]

_INPUT_PX = 112
_WAYS_DOWN = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)
"""Drawn at random in training: fine weaves must be known whichever way a library made the picture smaller."""
_SIZES = tuple(len(values) for values in SLOTS.values())


class Config(RecipeConfig):
    """Settings of the checkpoint that ships."""

    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    warmup_steps: int = 300
    batch_size: int = 64
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "64-true"] = "bf16-mixed"
    validate_every_steps: int = 500
    epoch_batches: int = Field(
        250, ge=1, description="Steps that are called an epoch; it draws from the shards there are."
    )
    captions: Literal["attributes", "objects"] = Field(
        "attributes", description="Full captions, or captions that name objects only (base of the compositional suite)."
    )
    text_every: int = Field(
        4,
        ge=1,
        description="Every how many steps texts take part; between, prototypes stand for phrases and halve the cost.",
    )
    caption_pairs: int = Field(
        32, ge=2, description="Images of a batch that bring a caption: text is half of the cost."
    )
    caption_weight: float = Field(0.3, ge=0, description="Weight of InfoNCE.")
    phrase_weight: float = Field(1.0, ge=0, description="Weight of the attribute phrases.")
    head_weight: float = Field(1.0, ge=0, description="Weight of the linear heads.")
    prototype_weight: float = Field(1.0, ge=0, description="Weight of images against prototypes.")
    naming_weight: float = Field(1.0, ge=0, description="Weight of phrases against prototypes.")
    place_weight: float = Field(0.0, ge=0, description="Weight of a linear head that tells how things stand.")
    position_weight: float = Field(
        0.0, ge=0, description="Weight of linear heads that tell where a patch is, before the last block."
    )
    named_slots: tuple[str, ...] | None = Field(
        None, description="Slots whose values texts name, so that phrases are read; all where absent."
    )
    hard_slots: dict[str, float] = Field(
        default_factory=dict, description="Weight in the loss of slots that are learnt slowly; the others weigh 1."
    )
    min_crop_px: int = Field(118, ge=64, le=STORED_PX, description="Smallest crop of the 128 stored pixels.")
    light: float = Field(0.1, ge=0, le=0.5, description="Largest relative change of brightness and contrast.")
    valid_images: int = Field(1024, ge=1, description="Images of a validation.")


@dataclass(frozen=True)
class Pools:
    """What this recipe is built from: rendered sarees to learn from and to validate on; the model's folder."""

    train: Pool
    valid: Pool
    model_dir: Path


class _Net(nn.Module):
    """The open_clip model, the linear heads (slots, places), the prototypes, and the scale of the attribute phrases."""

    def __init__(self, clip: nn.Module) -> None:
        super().__init__()
        self.clip = clip
        self.heads = nn.Linear(clip.visual.trunk.num_features, sum(_SIZES))
        self.prototypes = nn.Parameter(
            F.normalize(torch.randn(sum(_SIZES), clip.visual.head.proj.out_features), dim=-1)
        )
        self.places = nn.Linear(clip.visual.head.proj.out_features, len(PLACES))
        grid = clip.visual.trunk.patch_embed.grid_size
        rows, columns = torch.meshgrid(*map(torch.arange, grid), indexing="ij")
        self.register_buffer("grid", torch.stack([rows.flatten(), columns.flatten()]), persistent=False)
        self.where = nn.ModuleList(nn.Linear(clip.visual.trunk.embed_dim, cells) for cells in grid)
        self.phrase_logit_scale = nn.Parameter(torch.tensor(np.log(30.0), dtype=torch.float32))

    def images(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Trunk features and unit embeddings. Shapes: (n, 3, 112, 112) -> (n, width), (n, dim)."""
        feat = self.clip.visual.trunk(pixels)
        return feat, F.normalize(self.clip.visual.head(feat).float(), dim=-1)

    def images_and_positions(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same, and the cross-entropy of telling each patch's row and column before the last block.

        A tower that only ever had to say what there is forgets where, and then no last block learns directions.
        """
        trunk = self.clip.visual.trunk
        tokens, (entering,) = trunk.forward_intermediates(
            pixels, indices=[len(trunk.blocks) - 2], output_fmt="NLC", norm=False
        )
        feat = trunk.forward_head(tokens)
        lost = [
            F.cross_entropy(head(entering).float().flatten(0, 1), cells.repeat(len(pixels)))
            for head, cells in zip(self.where, self.grid, strict=True)
        ]
        return feat, F.normalize(self.clip.visual.head(feat).float(), dim=-1), torch.stack(lost).mean()

    def texts(self, tokens: Tensor) -> Tensor:
        """Unit embeddings. Shapes: (n, context) -> (n, dim)."""
        return F.normalize(encode_tokens(self.clip.text, tokens).float(), dim=-1)


@recipe("contrastive", Config)
class Contrastive:
    """Image-text pre-training on rendered sarees of no cluster."""

    data_keys: ClassVar[tuple[str, ...]] = ("image", "label", "visible", "caption", "phrase", "places")
    primary_metric: ClassVar[str] = "phrase_mean"
    greater_is_better: ClassVar[bool] = True
    images_depend_on_classes: ClassVar[bool] = False
    tasks: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()

    def __init__(self, config: Config) -> None:
        self.config = config
        self._slot_weights = _slot_weights(config.hard_slots)
        self._named = _named(config.named_slots)
        self._tokens: dict[Path, np.ndarray] = {}
        self._epoch = 0

    def build(self, snapshot: Pools, encoders: Any = None) -> None:  # noqa: ARG002
        """Create the model; `snapshot` is the pools of rendered sarees, and no encoder is needed.

        Raises: EmptySplit where a pool is empty.
        """
        from kg.encoders.korvai_small import open_model

        self.pools = snapshot
        self.pools.train.shards()
        self._valid = self.pools.valid.shards()[0]
        opened = open_model(snapshot.model_dir, with_weights=False)
        self.tokenizer = opened.tokenizer
        self._net = _Net(opened.model).to(memory_format=torch.channels_last)
        self._phrases = _phrase_tokens(self.tokenizer)
        self._no_text = self._phrases[0][:0]
        rows = torch.arange(sum(_SIZES)).split(_SIZES)
        self._named_rows = torch.cat([rows[slot] for slot in self._named])

    def module(self) -> nn.Module:
        """Model, heads and phrase scale."""
        return self._net

    def batches_per_epoch(self) -> int:
        """A fixed number: the pool may grow."""
        return self.config.epoch_batches

    def start_epoch(self, epoch: int) -> None:
        """Take up the shards that have been rendered since."""
        self._epoch = epoch
        self._shards = self.pools.train.shards_of_epoch(epoch)

    def train_batches(self, epoch: int, generator: torch.Generator, start: int) -> Iterator[Batch]:
        """Batches of a random order of all images there are; each batch draws its crops from its own generator."""
        if epoch != self._epoch:
            self.start_epoch(epoch)
        n, size = len(self._shards) * SHARD_IMAGES, self.config.batch_size
        needed = self.config.epoch_batches * size
        rounds = [torch.randperm(n, generator=generator) for _ in range(-(-needed // n))]
        order = torch.cat(rounds).numpy()[:needed].reshape(-1, size)
        for number in range(start, len(order)):
            seed = (self.config.rng_seed, epoch, number)
            yield self._batch(
                order[number], np.random.default_rng(seed), with_text=number % self.config.text_every == 0
            )

    def training_step(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Losses: caption, phrase, head, prototype and naming. Shapes: scalars."""
        net, config = self._net, self.config
        pixels, lost = batch["image"].to(memory_format=torch.channels_last), None
        if config.position_weight:
            feat, image, lost = net.images_and_positions(pixels)
        else:
            feat, image = net.images(pixels)
        prototypes, scale = F.normalize(net.prototypes, dim=-1), net.phrase_logit_scale.exp().clamp(max=100)
        label, visible = batch["label"], batch["visible"]

        def reading(scores: Sequence[Tensor]) -> Tensor:
            return masked_cross_entropy(scores, label, visible, self._slot_weights)

        losses = {
            "head_loss": config.head_weight * reading(net.heads(feat).float().split(_SIZES, 1)),
            "prototype_loss": config.prototype_weight * reading(slot_scores(image, prototypes, _SIZES, scale=scale)),
        }
        if lost is not None:
            losses["position_loss"] = config.position_weight * lost
        if config.place_weight:
            losses["place_loss"] = config.place_weight * _place_loss(net.places(scale * image), batch["places"])
        report = {"phrase_scale": float(scale.detach())}
        if not len(batch["phrase"]):
            return losses, report
        caption, phrases = (net.texts(batch[key]) for key in ("caption", "phrase"))
        caption_scale = net.clip.logit_scale.exp().clamp(max=100)
        named = self._named
        scores = slot_scores(image, phrases, [_SIZES[slot] for slot in named], scale=scale)
        weights = [self._slot_weights[slot] for slot in named]
        losses |= {
            "caption_loss": config.caption_weight * info_nce(image[: len(caption)], caption, scale=caption_scale),
            "phrase_loss": config.phrase_weight
            * masked_cross_entropy(scores, label[:, named], visible[:, named], weights),
            "naming_loss": config.naming_weight * naming_loss(phrases, prototypes.detach()[self._named_rows]),
        }
        return losses, report | {"scale": float(caption_scale.detach())}

    def evaluate(self, split: str) -> dict[str, float]:
        """Share of visible attributes read right, through phrases and through heads, per slot and as means over slots.

        Raises: EmptySplit for any split but train and valid.
        """
        shard = self._shard_of(split)
        n = min(self.config.valid_images, len(shard.labels))
        phrases = self.phrase_embeddings()
        by_phrase, by_head = [], []
        for begin in range(0, n, 128):
            feat, image = self._net.images(self._whole(shard.images[begin : min(n, begin + 128)]))
            by_phrase.append(_picks(slot_scores(image, phrases, _SIZES, scale=1.0)))
            by_head.append(_picks(self._net.heads(feat).split(_SIZES, 1)))
        label, visible = shard.labels[:n], shard.visible[:n]
        phrase, head = (_accuracies(np.concatenate(picks), label, visible) for picks in (by_phrase, by_head))
        slots = {f"phrase_{slot}": value for slot, value in zip(SLOTS, phrase, strict=True)}
        return {
            "phrase_mean": float(phrase.mean()),
            "head_mean": float(head.mean()),
            "phrase_min": float(phrase.min()),
            **slots,
        }

    def encode_images(self, images: Any) -> Tensor:
        """Unit vectors of uint8 pictures. Shapes: (n, h, w, 3) -> (n, dim)."""
        with torch.no_grad():
            return self._net.images(self._whole(np.asarray(images)))[1]

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors of texts. Shapes: (texts, dim)."""
        with torch.no_grad():
            tokens = self.tokenizer(list(texts)).to(self._device)
            return self._net.texts(tokens)

    def encode_classes(self, snapshot: Any, classes: Sequence[str] | None = None) -> Tensor:
        """Never: this recipe knows attributes, not classes.

        Raises: NotImplementedError.
        """
        raise NotImplementedError("contrastive has no classes; train graphclip on top of its image tower")

    def phrase_embeddings(self) -> Tensor:
        """One unit vector per slot value, the mean over its phrasings, renormalised. Shapes: (sum of values, dim)."""
        means = []
        for slot, values in SLOTS.items():
            means += [self.encode_texts(attribute_phrases(slot, value)).mean(0) for value in values]
        return F.normalize(torch.stack(means), dim=-1)

    @property
    def _device(self) -> torch.device:
        return self._net.phrase_logit_scale.device

    def _shard_of(self, split: str) -> Shard:
        if split not in ("train", "valid"):
            raise EmptySplit(f"contrastive has no split {split!r}; it has train and valid")
        return self._valid if split == "valid" else self.pools.train.shards()[0]

    def _batch(self, rows: np.ndarray, rng: np.random.Generator, *, with_text: bool) -> Batch:
        shard, row = rows // SHARD_IMAGES, rows % SHARD_IMAGES
        shards = self._shards
        caption, phrase = self._texts(shard, row, rng) if with_text else (self._no_text, self._no_text)
        return {
            "image": self._cropped([shards[s].images[r] for s, r in zip(shard, row, strict=True)], rng),
            "label": torch.from_numpy(np.stack([shards[s].labels[r] for s, r in zip(shard, row, strict=True)])),
            "visible": torch.from_numpy(np.stack([shards[s].visible[r] for s, r in zip(shard, row, strict=True)])),
            "caption": caption,
            "phrase": phrase,
            "places": self._places(shard, row),
        }

    def _places(self, shard: np.ndarray, row: np.ndarray) -> Tensor:
        if not self.config.place_weight:
            return torch.zeros(len(row), 0, dtype=torch.int8)  # older pools have none
        return torch.from_numpy(np.stack([self._shards[s].places[r] for s, r in zip(shard, row, strict=True)]))

    def _texts(self, shard: np.ndarray, row: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Tokens of a caption for the batch's first images, and of one phrasing of every value of a named slot."""
        told = list(zip(shard, row, rng.integers(0, 2**31, len(row)), strict=True))[: self.config.caption_pairs]
        captions = [_one(self._caption_tokens(self._shards[s])[r], draw) for s, r, draw in told]
        known = [self._phrases[row] for row in self._named_rows]
        phrase = torch.stack([variants[int(rng.integers(len(variants)))] for variants in known])
        return torch.from_numpy(np.stack(captions).astype(np.int64)), phrase

    def _cropped(self, pictures: list[np.ndarray], rng: np.random.Generator) -> Tensor:
        """One crop size a batch, one place a picture, then 112 px; small changes of light."""
        config, n = self.config, len(pictures)
        side = int(rng.integers(config.min_crop_px, STORED_PX + 1))
        corners = rng.integers(0, STORED_PX - side + 1, (n, 2))
        crops = [p[y : y + side, x : x + side] for p, (y, x) in zip(pictures, corners, strict=True)]
        pixels = _to_input(crops, interpolation=_WAYS_DOWN[int(rng.integers(len(_WAYS_DOWN)))])
        gain = torch.from_numpy(rng.uniform(1 - config.light, 1 + config.light, (n, 1, 1, 1)).astype(np.float32))
        shift = torch.from_numpy(rng.uniform(-config.light, config.light, (n, 1, 1, 1)).astype(np.float32))
        return pixels.mul_(gain).add_(shift).clamp_(-1, 1)

    def _whole(self, pictures: np.ndarray) -> Tensor:
        return _to_input(pictures).to(self._device, memory_format=torch.channels_last)

    def _caption_tokens(self, shard: Shard) -> np.ndarray:
        if shard.path not in self._tokens:
            texts = shard.captions if self.config.captions == "attributes" else shard.object_captions
            flat = self.tokenizer([text for each in texts for text in each]).numpy()
            self._tokens[shard.path] = flat.astype(np.int16).reshape(len(texts), -1, flat.shape[1])
        return self._tokens[shard.path]


def encode_tokens(tower: nn.Module, tokens: Tensor) -> Tensor:
    """open_clip's text tower without the padding that nothing looks at: causal attention, one vector at the end token.

    Shapes: (n, length) int64 -> (n, dim), not normalised; equal to `tower(tokens)` to rounding.
    """
    length = int((tokens != 0).sum(1).max())
    x = tower.token_embedding(tokens[:, :length]) + tower.positional_embedding[:length]
    x = tower.transformer(x, attn_mask=tower.attn_mask[:length, :length])
    ends = x[torch.arange(len(x), device=x.device), tokens.argmax(1)]
    return tower.ln_final(ends) @ tower.text_projection


def _slot_weights(hard: Mapping[str, float]) -> list[float]:
    _check_slots("hard_slots", hard)
    return [hard.get(slot, 1.0) for slot in SLOTS]


def _named(slots: Sequence[str] | None) -> list[int]:
    """Numbers of the slots that texts name."""
    if slots is None:
        return list(range(len(SLOTS)))
    _check_slots("named_slots", slots)
    if not slots:
        raise RecipeConfigError("named_slots is empty; for a training without phrases set phrase_weight to 0")
    return [number for number, slot in enumerate(SLOTS) if slot in slots]


def _check_slots(setting: str, slots: Iterable[str]) -> None:
    unknown = sorted(set(slots) - set(SLOTS))
    if unknown:
        raise RecipeConfigError(f"{setting} names {', '.join(unknown)}; the slots are {', '.join(SLOTS)}")


def _place_loss(logits: Tensor, places: Tensor) -> Tensor:
    """Binary cross-entropy where it is known. Shapes: (n, places) and (n, places) int8 -> ()."""
    known = places != UNKNOWN
    each = F.binary_cross_entropy_with_logits(logits.float(), places.clamp(min=0).to(torch.float32), reduction="none")
    return (each * known).sum() / known.sum().clamp(min=1)


def _one(variants: np.ndarray, draw: int) -> np.ndarray:
    return variants[draw % len(variants)]


def _to_input(pictures: Sequence[np.ndarray], *, interpolation: int = cv2.INTER_AREA) -> Tensor:
    """Shapes: n of (h, w, 3) uint8 -> (n, 3, 112, 112) float32 in -1..1, in channels-last memory."""
    small = [cv2.resize(picture, (_INPUT_PX, _INPUT_PX), interpolation=interpolation) for picture in pictures]
    return torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def _phrase_tokens(tokenizer: Any) -> list[Tensor]:
    """For every slot value, in order, the tokens of all its phrasings. Shapes: (phrasings, context) each."""
    tokens = [tokenizer(list(attribute_phrases(slot, value))) for slot, values in SLOTS.items() for value in values]
    ends = {int(t.max()) for t in tokens}
    if len(ends) != 1:
        raise RecipeConfigError(
            "a phrase is longer than the context of the text tower; raise context_length or shorten it"
        )
    return tokens


def _picks(scores: Sequence[Tensor]) -> np.ndarray:
    return torch.stack([logits.argmax(1) for logits in scores], 1).cpu().numpy()


def _accuracies(picks: np.ndarray, label: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Per slot, the share of visible ones that were picked right."""
    return ((picks == label) & visible).sum(0) / np.maximum(1, visible.sum(0))
