"""MMDetection's Mask2Former head with the class head of a segmentor that scaseg exported.

This file was copied beside the configuration, which imports it. It needs no scaseg.
"""

from __future__ import annotations

from typing import Any

from mmdet.models.dense_heads import Mask2FormerHead
from mmdet.registry import MODELS


@MODELS.register_module(force=True)
class CosinePanopticHead(Mask2FormerHead):
    """The host's head with another class head.

    Args:
        class_head: its configuration.
        **mask2former: arguments of the host's head.
    """

    def __init__(self, class_head: dict[str, Any], **mask2former: Any) -> None:
        super().__init__(**mask2former)
        self.cls_embed = MODELS.build(class_head)
