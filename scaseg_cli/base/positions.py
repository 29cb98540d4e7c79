"""Mask2Former's positions of pixels, computed once for each size of a map instead of in every pass.

Shapes: B images, D channels, h w of a map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from scaseg_cli.base import mmcv_ops

mmcv_ops.install()  # before any import of mmdet's models

from mmdet.models.layers import SinePositionalEncoding  # noqa: E402

if TYPE_CHECKING:
    from torch import Tensor

_SIZES = 6  # kept at a time: a pass needs three, and images in their own sizes have many


class KeptPositions(SinePositionalEncoding):
    """MMDetection's sines and cosines of the positions in maps without padding."""

    def forward(self, mask: Tensor) -> Tensor:
        """The positions of each pixel, [B, D, h, w]; all images share one array.

        Args:
            mask: bool [B, h, w]: where there is padding; nowhere.
        """
        if torch.onnx.is_in_onnx_export():  # the graph is for maps of any size (`scaseg export`)
            return super().forward(mask)
        kept: dict[Any, Tensor] = self.__dict__.setdefault("_kept", {})
        height_width = mask.shape[1:]
        key = (height_width, mask.device)
        if key not in kept:
            if len(kept) == _SIZES:
                kept.clear()
            with torch.inference_mode(False), torch.no_grad():  # training may come after a pass without it
                kept[key] = super().forward(torch.zeros(1, *height_width, dtype=torch.bool, device=mask.device))
        return kept[key].expand(len(mask), -1, -1, -1)
