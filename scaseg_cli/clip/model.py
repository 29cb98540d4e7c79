"""A frozen CLIP: it encodes texts, images and means of its feature map, and identifies its weights.

Shapes: B images, n texts, C embedding width, H W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scaseg_cli.checkpoints import fingerprint_of
from scaseg_cli.clip.dense import DenseTower, dense_tower
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# As in open_clip: maps texts to token ids [n, context]; `encode` returns the ids of one text without start and end.
Tokenizer = Callable[[list[str]], Tensor]


class ClipModel:
    """CLIP in evaluation mode, in float32, without gradients.

    It is not an `nn.Module`, so that a module can hold it without training or saving its weights.

    Attributes:
        dim: embedding width C.
        image_size: side of its square input images in pixels.
        mean_colour: RGB, 0..1; it becomes zero after CLIP's normalisation.
    """

    def __init__(self, module: nn.Module, tokenizer: Tokenizer, name: str, preprocess: dict[str, Any]) -> None:
        """Wrap ``module`` (open_clip's interface: encode_text, encode_image, visual).

        Args:
            module: the model with its weights loaded.
            tokenizer: its tokenizer.
            name: the model's name in error messages.
            preprocess: open_clip's preprocessing settings; uses "mean", "std" (RGB, 0..1) and "size".
        """
        self._module = module.float().eval().requires_grad_(False)
        self._tokenizer = tokenizer
        self.name = name
        size = preprocess["size"]
        self.image_size: int = size if isinstance(size, int) else size[0]
        red, green, blue = (float(value) for value in preprocess["mean"])
        self.mean_colour: tuple[float, float, float] = (red, green, blue)
        self._mean = torch.tensor(self.mean_colour)[:, None, None]
        self._std = torch.tensor([float(value) for value in preprocess["std"]])[:, None, None]
        self._half: torch.dtype | None = None
        self._fast_layout = _is_convolutional(module)
        if self._fast_layout:
            self._module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.dim: int = self.encode_text(["a"]).shape[1]

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self._module.parameters()).device

    def to(self, device: torch.device | str) -> ClipModel:
        """Move the weights to ``device`` and return self."""
        self._module.to(device)
        return self

    def compute_in(self, half: torch.dtype | None) -> None:
        """Let `encode_image` compute in 16 bits; None: in float32. The weights, and the embeddings, stay in float32."""
        self._half = half

    @property
    def scale(self) -> float:
        """The factor of cosines in CLIP's own logits, at most 100, as CLIP was trained."""
        return min(100.0, float(self._module.logit_scale.detach().exp()))  # type: ignore[operator]

    @cached_property
    def fingerprint(self) -> str:
        """The `fingerprint_of` the weights, by which embeddings identify the CLIP that made them."""
        return fingerprint_of(self._module.state_dict())

    @torch.no_grad()
    def encode_text(self, texts: list[str]) -> Tensor:
        """Encode ``texts`` to unit embeddings, float32 [n, C], in one batch.

        Raises:
            ScasegError: a text has more tokens than the context length.
        """
        self._check_lengths(texts)
        tokens = self._tokenizer(texts).to(self.device)
        with torch.autocast(self.device.type, enabled=False):
            return F.normalize(self._module.encode_text(tokens).float(), dim=-1)  # type: ignore[operator]

    @torch.no_grad()
    def encode_image(self, images_B3HW: Tensor) -> Tensor:
        """Encode whole images to unit embeddings (CLIP's projected image token), float32 [B, C].

        Args:
            images_B3HW: float RGB, 0..1, of any size. Resized to CLIP's square without cropping, so that the whole
                image is encoded at any aspect ratio (a reading; method.md, V2C).
        """
        with torch.autocast(self.device.type, enabled=False):
            images = self._input(images_B3HW)
            with torch.autocast(self.device.type, self._half, enabled=self._half is not None):
                encoded = self._module.encode_image(images)  # type: ignore[operator]
            return F.normalize(encoded.float(), dim=-1)

    @torch.no_grad()
    def feature_map(self, images_B3HW: Tensor) -> Tensor:
        """Compute the image tower's feature map of whole images (`DenseTower`), [B, D', h, w].

        Raises:
            ScasegError: the tower has none that fits.
        """
        return self._dense.features(self._input(images_B3HW))

    @torch.no_grad()
    def embed_features(self, features_nD: Tensor) -> Tensor:
        """Put means of `feature_map` into CLIP's space: unit embeddings [n, C]."""
        return F.normalize(self._dense.embed(features_nD).float(), dim=-1)

    @cached_property
    def _dense(self) -> DenseTower:
        return dense_tower(self._module.visual, self.name)  # type: ignore[arg-type]

    def _input(self, images_B3HW: Tensor) -> Tensor:
        """Resize and normalise images to the image tower's input, [B, 3, S, S]."""
        if images_B3HW.ndim != 4 or images_B3HW.shape[1] != 3 or not images_B3HW.is_floating_point():
            raise ValueError(f"images must be float [B, 3, H, W], not {images_B3HW.dtype} {tuple(images_B3HW.shape)}")
        images = (self.resized(images_B3HW) - self._mean.to(self.device)) / self._std.to(self.device)
        return images.contiguous(memory_format=torch.channels_last) if self._fast_layout else images

    def resized(self, images_B3HW: Tensor) -> Tensor:
        """Resize whole images to CLIP's square, float32 [B, 3, S, S] on its device, unless they have that size."""
        images, side = images_B3HW.to(self.device, torch.float32), (self.image_size, self.image_size)
        if images.shape[-2:] == side:
            return images
        images = F.interpolate(images, side, mode="bicubic", antialias=True, align_corners=False)
        return images.clamp(0.0, 1.0)  # bicubic overshoots at edges, which 8-bit images cannot

    def resized_each(self, images: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Resize images of any sizes, uint8 RGB [H, W, 3], to CLIP's square, float32 [B, 3, S, S] in 0..1."""
        return torch.cat([self.resized(torch.from_numpy(image).permute(2, 0, 1)[None] / 255.0) for image in images])

    def _check_lengths(self, texts: list[str]) -> None:
        """Check the lengths: open_clip's tokenizers truncate silently, which may drop the class name."""
        context = getattr(self._tokenizer, "context_length", None)
        for text in texts:
            num_tokens = self._length(text)
            if num_tokens is not None and context is not None and num_tokens > context:
                raise ScasegError(
                    f"the prompt {text!r} has {num_tokens} tokens, and the text encoder of {self.name} reads {context}",
                    "Shorten the class name or the template.",
                )

    def _length(self, text: str) -> int | None:
        """The number of a text's tokens, with those that mark its start and end; None if the tokenizer cannot say."""
        if (encode := getattr(self._tokenizer, "encode", None)) is not None:
            return len(encode(text)) + 2
        inner = getattr(self._tokenizer, "tokenizer", None)  # of transformers, which marks what it marks
        clean = getattr(self._tokenizer, "clean_fn", None)
        return None if inner is None or clean is None else len(inner(clean(text))["input_ids"])


def _is_convolutional(module: nn.Module) -> bool:
    """Whether the image tower is open_clip's ResNet, which runs up to a third faster with channels last on a CPU.

    Vision transformers gain nothing: only their first layer is a convolution.
    """
    from open_clip.modified_resnet import ModifiedResNet

    return isinstance(module.visual, ModifiedResNet)
