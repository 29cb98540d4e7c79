"""Matching and losses as they were before, by MMDetection: the reference of `base_step.py`.

Images and layers are matched one by one: every segment has a mask of its own, and the costs of each image and layer
reach the host by themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from scaseg_cli.base import mmcv_ops
from scaseg_cli.base.matching import Pairs

mmcv_ops.install()  # before any import of mmdet's models

from mmdet.models.dense_heads import Mask2FormerHead  # noqa: E402
from mmengine.structures import InstanceData  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from scaseg_cli.base.augmentation import Annotated
    from scaseg_cli.base.head import CosineHead


def losses_before(
    head: CosineHead, class_logits: list[Tensor], mask_logits: list[Tensor], samples: Sequence[Annotated]
) -> tuple[dict[str, Tensor], list[Pairs]]:
    """Compute what `CosineHead.losses_of` does, from the same draws; returns the losses and each layer's pairs."""
    targets: list[Any] = []

    def recorded(*arguments: Any) -> Any:
        targets.append(Mask2FormerHead._get_targets_single(head, *arguments))
        return targets[-1]

    head._get_targets_single = recorded
    try:
        segments = [InstanceData(labels=sample.labels, masks=sample.masks().long()) for sample in samples]
        metas: list[dict[str, Any]] = [{} for _ in samples]
        losses = Mask2FormerHead.loss_by_feat(head, class_logits, mask_logits, segments, metas)
    finally:
        del head._get_targets_single
    size = len(samples)
    layers = [targets[first : first + size] for first in range(0, len(targets), size)]
    return losses, [_pairs([one[-1] for one in layer]) for layer in layers]


def _pairs(sampled: list[Any]) -> Pairs:
    images = [torch.full_like(one.pos_inds, image) for image, one in enumerate(sampled)]
    columns = images, [one.pos_inds for one in sampled], [one.pos_assigned_gt_inds for one in sampled]
    return Pairs(*(torch.cat(column).cpu().numpy() for column in columns))


def match_as_before(head: CosineHead) -> None:
    """Let ``head`` match and compute its losses in the way before, for the rest of its life."""

    def losses_of(class_logits: list[Tensor], masks: list[Any], samples: Sequence[Annotated]) -> Any:
        losses, pairs = losses_before(head, class_logits, [own.logits() for own in masks], samples)
        head._pairs = pairs[-1]
        return losses

    head.losses_of = losses_of  # type: ignore[method-assign]
