"""Networks of either host at the embedded world's size, and training views made by hand, for the tests of base/."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from scaseg_cli.base.augmentation import panoptic_segments, semantic_segments, training_view
from scaseg_cli.base.dataset import collate
from scaseg_cli.base.head import MaskEmbeddings
from scaseg_cli.base.network import build_network
from scaseg_cli.clip.load import load_clip
from scaseg_cli.data.records import ImageRecord, Segment
from scaseg_cli.recipe import load_recipe
from scaseg_cli.tasks import ZPS, ZSS, Task

if TYPE_CHECKING:
    from scaseg_cli.base.aligned_network import AlignedNetwork
    from scaseg_cli.base.augmentation import Annotated
    from scaseg_cli.base.head import CosineHead
    from scaseg_cli.clip.model import ClipModel
    from scaseg_cli.recipe.base_section import Base
    from scaseg_cli.recipe.schema import Recipe

NAMES = ("red ring", "red square", "green ring", "blue dots", "green stripes")
NUM_SEEN = 4
UNSEEN = 4  # the class_id, and here the category_id too, of what no training may learn
SIDE = 64


@cache
def recipe() -> Recipe:
    """The embedded world's recipe, without pre-trained weights."""
    return load_recipe("shapes-zps", ("base.backbone.checkpoint=null", "threads=1"))


def base(**changes: Any) -> Base:
    """Its base section, with changes."""
    return recipe().base.model_copy(update=changes)


@cache
def clip() -> ClipModel:
    """The embedded world's CLIP."""
    return load_clip(recipe().clip)


@cache
def vectors_NC() -> Tensor:
    """Embeddings of `NAMES`."""
    return clip().encode_text([f"a photo of a {name}." for name in NAMES])


def fresh_network(task: Task, section: Base | None = None, aligned: bool = True) -> AlignedNetwork:
    """A network with the weights of seed 0, ready to train."""
    torch.manual_seed(0)
    return build_network(section or base(), vectors_NC()[:NUM_SEEN], clip() if aligned else None, task).train()


def stripes(
    task: Task, image_id: int, *class_ids: int, size: tuple[int, int] = (SIDE, SIDE), side: int = SIDE
) -> dict[str, Any]:
    """A training view of vertical stripes, one segment of each class; without classes, an image of void alone."""
    height, width = size
    label = np.zeros(size, np.int32)
    edges = np.linspace(0, width, len(class_ids) + 1).astype(int)
    for place in range(len(class_ids)):
        label[:, edges[place] : edges[place + 1]] = place + 1
    segments = tuple(Segment(i + 1, class_id, 1, False) for i, class_id in enumerate(class_ids))
    image = np.random.default_rng(image_id).integers(0, 256, (height, width, 3), dtype=np.uint8)
    record = ImageRecord(image_id, f"{image_id}.png", f"{image_id}.png", width, height, segments)
    make = panoptic_segments if task is ZPS else semantic_segments
    found = make(record, label, {class_id: class_id for class_id in range(len(NAMES))}, NUM_SEEN)
    return training_view(image, found, side, image_id, list_labelled=task is ZSS)


def losses_of(network: AlignedNetwork, *views: dict[str, Any]) -> dict[str, Tensor]:
    """One forward pass with the losses, as the Runner makes it."""
    data = network.data_preprocessor(collate(list(views)), training=True)
    return network(**data, mode="loss")


def head_losses(
    head: CosineHead, class_logits: list[Tensor], mask_logits: list[Tensor], samples: list[Annotated]
) -> dict[str, Tensor]:
    """A head's losses of any logits [B, Q, ...] of each layer: mask logits are products of themselves and ones."""
    pixels, ones = torch.cat(mask_logits, dim=1), torch.eye(sum(own.shape[1] for own in mask_logits))
    of_layers = ones.expand(len(pixels), -1, -1).split([own.shape[1] for own in mask_logits], dim=1)
    return head.losses_of(class_logits, [MaskEmbeddings(queries, pixels) for queries in of_layers], samples)


def largest_gradient(module: nn.Module) -> float:
    """The largest entry of a module's gradients; not a number where a parameter that is trained has none."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    assert parameters
    return max(math.nan if p.grad is None else float(p.grad.abs().max()) for p in parameters)
