"""Where is the small image-text model that ships, and how is it opened with the plain open_clip API?

    register()
    folder = checkpoint_dir()
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}", bpe_path=str(folder / MERGES_FILE))

`open_model` does those lines. open_clip resolves a `bpe_path` against the working directory, so it is always given
whole; the configuration names the bare file, which makes a forgotten one an error instead of a silently wrong
vocabulary.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kg.errors import EncoderError

if TYPE_CHECKING:
    from open_clip import SimpleTokenizer
    from torch import nn

__all__ = [
    "CONFIG_FILE",
    "MERGES_FILE",
    "OBJECTS",
    "SMALL",
    "WEIGHTS_FILE",
    "OpenModel",
    "checkpoint_dir",
    "open_model",
    "open_tokenizer",
    "register",
]

SMALL, OBJECTS = "korvai-small", "korvai-small-objects"
CONFIG_FILE = "open_clip_config.json"
MERGES_FILE = "bpe_merges.txt.gz"
WEIGHTS_FILE = "open_clip_model.safetensors"


class OpenModel(NamedTuple):
    """An open_clip model in eval mode with what turns pictures and words into its input."""

    model: "nn.Module"
    preprocess: Any
    tokenizer: "SimpleTokenizer"


def register() -> None:
    """Make timm know `korvai_vit_112`, the vision tower's architecture; cheap to call again."""
    import kg.encoders.korvai_vit  # noqa: F401


def checkpoint_dir(name: str = SMALL) -> Path:
    """Folder of a checkpoint that ships (SMALL, or OBJECTS, whose text tower read names of things and no attribute);
    usable in open_clip's `local-dir:` schema.

    Raises: EncoderError where a file of it is missing.
    """
    folder = Path(__file__).resolve().parents[2] / "data" / "checkpoint" / name
    missing = [name for name in (CONFIG_FILE, MERGES_FILE, WEIGHTS_FILE) if not (folder / name).is_file()]
    if missing:
        raise EncoderError(
            f"{name}: {folder} lacks {', '.join(missing)}; restore them, or make them with "
            "`python -m training.pretrain train` and `python -m training.pretrain export`"
        )
    return folder


def open_model(folder: Path | None = None, *, with_weights: bool = True) -> OpenModel:
    """The model in `folder` (default: the one that ships), in eval mode and single precision.

    Raises: EncoderError where files are missing or the weights do not fit the architecture.
    """
    import open_clip
    from safetensors import SafetensorError

    register()
    folder = folder or checkpoint_dir()
    try:
        model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}", load_weights=with_weights)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise EncoderError(
            f"korvai-small: {folder} cannot be opened ({error}); restore the folder from the release"
        ) from error
    return OpenModel(model.eval(), preprocess, open_tokenizer(folder))


def open_tokenizer(folder: Path) -> "SimpleTokenizer":
    """The tokenizer of the model in `folder`, with its own small merges.

    Raises: EncoderError where its vocabulary is not as large as the model's token table.
    """
    import open_clip

    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}", bpe_path=str(folder / MERGES_FILE))
    expected = json.loads((folder / CONFIG_FILE).read_text())["model_cfg"]["text_cfg"]["vocab_size"]
    if tokenizer.vocab_size != expected:
        raise EncoderError(
            f"korvai-small: {MERGES_FILE} makes {tokenizer.vocab_size} tokens, {CONFIG_FILE} says {expected}; "
            "restore both from the same export"
        )
    return tokenizer
