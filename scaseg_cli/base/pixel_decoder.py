"""Mask2Former's pixel decoder, with sizes as numbers of the host.

MMDetection's own keeps the sizes of feature maps on the device and reads them back several times in each pass. A GPU
then waits for the host, and the host for the GPU. Weights, their names and results are the same.

Shapes: B images, S keys of all levels, D channels, M heads, L levels, P points, h w of a level.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from scaseg_cli.base import mmcv_ops
from scaseg_cli.base.attention_operators import MMCV, operator_for
from scaseg_cli.base.deformable_attention import compiled_attention, deformable_attention, plain_attention
from scaseg_cli.base.positions import KeptPositions

mmcv_ops.install()  # before any import of mmdet's models

from mmcv.ops import MultiScaleDeformableAttention  # noqa: E402
from mmdet.models.layers import MSDeformAttnPixelDecoder  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence


class SizedAttention(MultiScaleDeformableAttention):
    """Deformable self-attention over the keys of all levels, none of which is padding."""

    is_compiled = False

    def forward(self, query: Tensor, **given: Any) -> Tensor:
        """Attend to a few points around each key, and add the result to the keys, [B, S, D].

        Args:
            query: the keys.
            **given: of MMDetection's encoder: ``query_pos`` [B, S, D], ``reference_points``, the place of each key
                [B, S, L, 2], the same in all images, ``spatial_shapes`` as a tensor, and ``sizes``, the same as pairs
                of numbers.
        """
        sizes: list[tuple[int, int]] = given.pop("sizes")
        if operator_for(query.device.type) is MMCV:
            attended: Tensor = super().forward(query, **given)
            return attended
        batch, keys, _ = query.shape
        with_place = query + given["query_pos"]
        heads, per_head = self.num_heads, (self.num_levels, self.num_points)
        values = self.value_proj(query).view(batch, keys, heads, -1)
        offsets = self.sampling_offsets(with_place).view(batch, keys, heads, *per_head, 2)
        weights = self.attention_weights(with_place).view(batch, keys, heads, -1).softmax(-1)
        # Both are repeated over heads and points first: a CPU is slow where short rows are broadcast.
        each = (heads, *per_head, 2)
        width_height = given["spatial_shapes"].flip(-1)[:, None].expand(each).contiguous()
        centres = given["reference_points"][:1, :, None, :, None].expand(1, keys, *each).contiguous()
        places = centres + offsets / width_height
        attend = compiled_attention() if self.is_compiled else deformable_attention
        if torch.onnx.is_in_onnx_export():  # for a graph that other programs run (`scaseg export`)
            attend = plain_attention
        found = attend(values, sizes, places, weights.unflatten(-1, per_head))
        return self.dropout(self.output_proj(found)) + query


class PixelDecoder(MSDeformAttnPixelDecoder):
    """MMDetection's pixel decoder in a form that never waits for the device."""

    def __init__(self, **mask2former: Any) -> None:
        super().__init__(**mask2former)
        for layer in self.encoder.layers:
            layer.self_attn.__class__ = SizedAttention  # the same parameters, drawn once
        self.postional_encoding.__class__ = KeptPositions

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Compute the mask features, and the maps that the decoder attends to, from the coarsest on.

        Args:
            feats: the backbone's maps [B, D', h, w], from the finest on.
        """
        coarse = [feats[-1 - level] for level in range(self.num_encoder_levels)]
        sizes = [(one.shape[2], one.shape[3]) for one in coarse]
        maps = [convolution(one) for convolution, one in zip(self.input_convs, coarse, strict=True)]
        positions = [
            embedding[:, None, None] + self.postional_encoding(one.new_zeros(len(one), *size, dtype=torch.bool))
            for embedding, one, size in zip(self.level_encoding.weight, maps, sizes, strict=True)
        ]
        spatial_shapes = torch.tensor(sizes).to(maps[0].device, non_blocking=True)
        starts = F.pad(spatial_shapes.prod(1).cumsum(0)[:-1], (1, 0))
        places = torch.cat([_places(size, maps[0]) for size in sizes])
        keys = self.encoder(
            query=_flat(maps),
            query_pos=_flat(positions),
            key_padding_mask=None,
            spatial_shapes=spatial_shapes,
            level_start_index=starts,
            valid_ratios=None,
            reference_points=places[None, :, None].expand(len(maps[0]), -1, len(sizes), -1),
            sizes=sizes,
        )
        split = keys.transpose(1, 2).split([height * width for height, width in sizes], dim=2)
        found = [one.unflatten(2, size) for one, size in zip(split, sizes, strict=True)]
        fine = feats[: self.num_input_levels - self.num_encoder_levels]
        for lateral, output, one in zip(self.lateral_convs, self.output_convs, reversed(fine), strict=True):
            enlarged = F.interpolate(found[-1], size=one.shape[-2:], mode="bilinear", align_corners=False)
            found.append(output(lateral(one) + enlarged))
        return self.mask_feature(found[-1]), found[: self.num_outs]


def _places(size: tuple[int, int], like: Tensor) -> Tensor:
    """x and y of the centres of a map's pixels, [h * w, 2], 0..1 from border to border."""
    rows, columns = ((torch.arange(count, device=like.device, dtype=torch.float32) + 0.5) / count for count in size)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)


def _flat(maps: Sequence[Tensor]) -> Tensor:
    """Put the pixels of maps [B, D, h, w] one after the other, [B, S, D]."""
    return torch.cat([one.flatten(2) for one in maps], dim=2).transpose(1, 2)
