"""Is the checkpoint that ships small, whole, and open to the plain open_clip API?"""

import gzip
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from kg.encoders.korvai_small import (
    CONFIG_FILE,
    MERGES_FILE,
    WEIGHTS_FILE,
    checkpoint_dir,
    open_model,
    open_tokenizer,
    register,
)
from kg.errors import EncoderError
from kg.rendering import load_craft
from training.bpe import learn_merges, write_merges


@pytest.fixture(scope="module")
def opened():
    return open_model()


def test_weights_fit_the_limit_and_are_half_precision():
    from safetensors import safe_open

    path = checkpoint_dir() / WEIGHTS_FILE
    assert path.stat().st_size <= 25_000_000
    with safe_open(path, "pt") as file:
        kinds = {file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118
        names = list(file.keys())
    assert kinds <= {torch.float16, torch.int64}
    assert not [name for name in names if "heads" in name], "training aids do not ship"


def test_plain_open_clip_calls_open_it(opened):
    import open_clip

    register()
    folder = checkpoint_dir()
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}", bpe_path=str(folder / MERGES_FILE))
    model.eval()
    pixels = preprocess(Image.fromarray(np.full((300, 200, 3), 90, np.uint8)))[None]
    with torch.no_grad():
        image, text = (
            model.encode_image(pixels, normalize=True),
            model.encode_text(tokenizer(["a red saree"]), normalize=True),
        )
        assert torch.equal(image, opened.model.encode_image(pixels, normalize=True))
    assert pixels.shape == (1, 3, 112, 112) and image.shape == text.shape == (1, 256)


def test_patch_tokens_are_open(opened):
    with torch.no_grad():
        tokens = opened.model.visual.trunk.forward_features(torch.zeros(2, 3, 112, 112))
    assert tokens.shape == (2, 49, 192)


def test_any_text_is_spelt_and_no_cluster_has_a_token(opened):
    for text in ("a saree with a temple border", "Ein Ölbild, 1897 – Wien", "பட்டு"):
        ids = opened.tokenizer.encode(text)
        assert ids and opened.tokenizer.decode(ids).strip().replace(" ", "") == text.lower().replace(" ", "")
    known = {token.removesuffix("</w>") for token in opened.tokenizer.encoder}
    words = {word.lower() for name in load_craft().looks for word in name.split() if len(word) > 4}
    assert not words & known


def test_merges_follow_the_most_frequent_pair(tmp_path):
    assert learn_merges(["aab aab ab"], merges=9) == [("a", "b</w>"), ("a", "ab</w>")]
    size = write_merges([("a", "b</w>")], tmp_path / "m.gz")
    first = (tmp_path / "m.gz").read_bytes()
    write_merges([("a", "b</w>")], tmp_path / "m.gz")
    assert size == 515 and first == (tmp_path / "m.gz").read_bytes()
    assert gzip.decompress(first).decode().splitlines()[1:] == ["a b</w>"]


def test_missing_and_mismatched_files_say_so(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(checkpoint_dir(), folder)
    config = json.loads((folder / CONFIG_FILE).read_text())
    config["model_cfg"]["text_cfg"]["vocab_size"] += 1
    (folder / CONFIG_FILE).write_text(json.dumps(config))
    with pytest.raises(EncoderError, match="tokens"):
        open_tokenizer(folder)
    with pytest.raises(EncoderError, match="cannot be opened"):
        open_model(folder)
    (folder / WEIGHTS_FILE).write_bytes(b"not weights")
    with pytest.raises(EncoderError, match="cannot be opened"):
        open_model(folder)
