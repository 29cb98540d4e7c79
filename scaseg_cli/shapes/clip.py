"""The small CLIP of the embedded world: open_clip's network with a word-level vocabulary.

It stands in for a downloaded CLIP, so that every stage runs without a network connection.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from scaseg_cli.checkpoints import load_module, load_tensors
from scaseg_cli.packages import prepare_open_clip
from scaseg_cli.shapes.captions import vocabulary, words_of
from scaseg_cli.shapes.crops import MEAN_COLOUR

prepare_open_clip()

from open_clip import CLIP as CLIP  # noqa: E402

CHECKPOINT = Path(__file__).with_name("clip.safetensors")
KIND = "shapes-clip"
REMEDY = "Make it with `scaseg shapes train-clip`."
IMAGE_SIZE = 64  # pixels; the only size that the image tower accepts
EMBEDDING_DIM = 64
CONTEXT = 32  # tokens
MAX_SCALE = 15.0  # of the logits; a larger scale makes the text embeddings too similar
IMAGE_MEAN = MEAN_COLOUR
IMAGE_STD = (0.25, 0.21, 0.24)
_VISION = {"layers": (1, 1, 1, 1), "width": 16, "image_size": IMAGE_SIZE}
_TEXT = {"context_length": CONTEXT, "width": 64, "heads": 4, "layers": 2}


class WordTokenizer:
    """Converts text to token ids, one per word; called like open_clip's tokenizers.

    Tokens: 0 padding, 1 start, 2 any unknown word, then the words. The end token has the largest id, because the text
    tower reads its embedding at the position of the largest id.
    """

    def __init__(self, context_length: int = CONTEXT) -> None:
        words = vocabulary()
        self.context_length = context_length
        self._numbers = {word: 3 + i for i, word in enumerate(words)}
        self.end = 3 + len(words)
        self.vocab_size = self.end + 1

    def __call__(self, texts: str | list[str], context_length: int | None = None) -> Tensor:
        """Tokenize to ids [n, context_length], int64; a text that is too long is truncated."""
        length = context_length or self.context_length
        listed = [texts] if isinstance(texts, str) else texts
        tokens = torch.zeros(len(listed), length, dtype=torch.long)
        for row, text in enumerate(listed):
            words = words_of(text)[: length - 2]
            numbers = [1, *(self._numbers.get(word, 2) for word in words), self.end]
            tokens[row, : len(numbers)] = torch.tensor(numbers)
        return tokens


def build_shapes_clip() -> tuple[CLIP, WordTokenizer]:
    """Build the network with random weights, and its tokenizer.

    The input is RGB [B, 3, 64, 64], normalised with `IMAGE_MEAN` and `IMAGE_STD` (also ``visual.image_mean`` and
    ``visual.image_std``); the output is embeddings [B, 64].
    """
    tokenizer = WordTokenizer()
    model = CLIP(EMBEDDING_DIM, dict(_VISION), {**_TEXT, "vocab_size": tokenizer.vocab_size})
    model.visual.image_mean, model.visual.image_std = IMAGE_MEAN, IMAGE_STD
    with torch.no_grad():
        model.logit_scale.clamp_(max=math.log(MAX_SCALE))
    return model, tokenizer


def load_shapes_clip(path: Path = CHECKPOINT) -> tuple[CLIP, WordTokenizer]:
    """Load the trained network in float32 for inference, and its tokenizer.

    Raises:
        ScasegError: ``path`` is missing, damaged, or for another network.
    """
    model, tokenizer = build_shapes_clip()
    tensors, _ = load_tensors(path, KIND, REMEDY)
    whole = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    load_module(model, whole, path, REMEDY)
    return model.eval().requires_grad_(False), tokenizer


def normalised(images: Tensor) -> Tensor:
    """Normalise RGB bytes [B, 64, 64, 3] to the input of the image tower, [B, 3, 64, 64]."""
    mean, std = torch.tensor(IMAGE_MEAN), torch.tensor(IMAGE_STD)
    return ((images.float() / 255.0 - mean) / std).permute(0, 3, 1, 2)
