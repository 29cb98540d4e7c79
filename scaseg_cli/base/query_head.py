"""What both segmentors' heads have in common: a cosine classifier over queries, and the last step's matching.

Shapes: B images, Q queries, D decoder channels, h w pixels of the mask logits.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaseg_cli.base.augmentation import Annotated
    from scaseg_cli.base.classifier import CosineClassifier
    from scaseg_cli.base.matching import Pairs

Matches = list[tuple[Tensor, Tensor]]  # per image, indices of matched queries and of their segments, on the CPU


class View(NamedTuple):
    """The size of an image in a padded batch, and that of the batch, as (height, width)."""

    view_shape: tuple[int, int]
    padded_shape: tuple[int, int]


class QueryHead:
    """A head that classifies queries by semantic embeddings.

    It stores the visual embeddings v of the last forward pass, and the matched and unmatched queries of the last loss
    or `match`.

    Attributes:
        cls_embed: the classifier over the seen classes.
        num_queries: Q.
    """

    cls_embed: CosineClassifier
    num_queries: int
    mask_embed: Any
    _pairs: Pairs | None = None
    _hidden_BQ: Tensor | None = None
    _visual: Tensor | None = None

    if TYPE_CHECKING:  # the host's

        def init_weights(self) -> None:
            """Draw the initial weights."""

    @abstractmethod
    def last_masks(self, x: tuple[Tensor, ...], views: Sequence[Annotated | View]) -> Tensor:
        """Forward pass; returns the mask logits of the last decoder layer, [B, Q, h, w]."""

    @abstractmethod
    def match(self, x: tuple[Tensor, ...], samples: Sequence[Annotated]) -> Matches:
        """Match queries to segments without losses: forward pass, then Hungarian matching of the last layer.

        Raises:
            FloatingPointError: the network's outputs are not finite, or so large that matching costs are not.
        """

    def compile_parts(self) -> None:
        """Compile the mask head and the class projector (`base.compile`)."""
        self.mask_embed.compile()
        self.cls_embed.projector.compile()

    def last_visual(self) -> Tensor:
        """v of the last forward pass, after the decoder's last norm, [B, Q, D]."""
        assert self._visual is not None, "no forward pass has run"
        return self._visual

    def last_matches(self, num_images: int) -> Matches:
        """Per image, (query indices, segment indices) of the last decoder layer's matching."""
        assert self._pairs is not None, "nothing was matched"
        pairs = [self._pairs.of_image(image) for image in range(num_images)]
        return [(torch.from_numpy(query), torch.from_numpy(segment)) for query, segment in pairs]

    def last_null(self, num_images: int) -> list[Tensor]:
        """Per image, the unmatched queries of the last decoder layer's matching, ascending.

        Queries on ignored pixels are in neither this list nor `last_matches`.
        """
        is_left_out = torch.zeros(num_images, self.num_queries, dtype=torch.bool)
        if self._hidden_BQ is not None:
            is_left_out |= self._hidden_BQ.cpu()
        for own, (query, _) in zip(is_left_out, self.last_matches(num_images), strict=True):
            own[query] = True
        return [(~own).nonzero()[:, 0] for own in is_left_out]
