"""Makes one training view: flipped, scaled, cropped, and labelled in the host's format.

Shapes: G segments, H W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scaseg_cli.data.records import ImageRecord
    from scaseg_cli.recipe.schema import Base

IGNORED = 65_535  # the label of pixels without a seen class; MMSegmentation's 255 would limit the classes to 255
_LARGEST = 4  # upper limit of the longer side, in crops, with resize: shorter; as in MMSegmentation's Mask2Former


def augmented(
    image_HW3: np.ndarray, label_HW: np.ndarray, base: Base, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Randomly flip, scale and crop an image, uint8, and its segment ids, int32.

    The base scale fits the image into the crop with ``base.resize: longer``, and covers the crop with ``shorter``. It
    is multiplied by a random factor.
    """
    if rng.random() < base.flip:
        image_HW3, label_HW = image_HW3[:, ::-1], label_HW[:, ::-1]
    height, width = label_HW.shape
    factor = _scale(height, width, base, rng)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    if size != (width, height):
        image_HW3 = cv2.resize(np.ascontiguousarray(image_HW3), size, interpolation=cv2.INTER_LINEAR)
        label_HW = cv2.resize(np.ascontiguousarray(label_HW), size, interpolation=cv2.INTER_NEAREST_EXACT)
    top = int(rng.integers(max(0, label_HW.shape[0] - base.crop) + 1))
    left = int(rng.integers(max(0, label_HW.shape[1] - base.crop) + 1))
    window = np.s_[top : top + base.crop, left : left + base.crop]
    return image_HW3[window], label_HW[window]


def _scale(height: int, width: int, base: Base, rng: np.random.Generator) -> float:
    if base.resize == "longer":
        return min(base.crop / height, base.crop / width) * rng.uniform(*base.scale)
    factor = max(base.crop / height, base.crop / width) * rng.uniform(*base.scale)
    return min(factor, _LARGEST * base.crop / max(height, width))


def panoptic_sample(
    record: ImageRecord,
    image_HW3: NDArray[np.uint8],
    label_HW: NDArray[np.int32],
    class_ids: dict[int, int],
    num_seen: int,
    side: int,
) -> dict[str, Any]:
    """Convert a view for MMDetection's Mask2Former, padded at the right and bottom to ``side`` pixels.

    Args:
        record: the image's segments; crowds are ignored.
        image_HW3: the view, RGB.
        label_HW: segment ids.
        class_ids: category_id -> class_id; segments of other categories are ignored.
        num_seen: number of seen classes; the split guarantees that all class_ids are below it.
        side: side of the crop.
    """
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData

    height, width = label_HW.shape
    segments = [s for s in record.segments if not s.iscrowd and s.category_id in class_ids]
    ids = np.array([s.id for s in segments], dtype=label_HW.dtype)
    masks = label_HW[None] == ids[:, None, None]
    visible = masks.any((1, 2))
    labels = np.array([class_ids[s.category_id] for s in segments], dtype=np.int64)
    assert (labels < num_seen).all(), f"image {record.image_id} contains an unseen class"
    padded_masks = np.zeros((int(visible.sum()), side, side), bool)
    padded_masks[:, :height, :width] = masks[visible]
    shape = (height, width)
    found = DetDataSample(metainfo={"img_shape": shape, "view_shape": shape, "image_id": record.image_id})
    found.gt_instances = InstanceData(labels=torch.from_numpy(labels[visible]), masks=torch.from_numpy(padded_masks))
    return {"inputs": _padded(image_HW3, side), "data_samples": found}


def semantic_sample(
    record: ImageRecord,
    image_HW3: NDArray[np.uint8],
    label_HW: NDArray[np.int32],
    class_ids: dict[int, int],
    num_seen: int,
    side: int,
) -> dict[str, Any]:
    """Convert a view for MMSegmentation's Mask2Former, padded at the right and bottom to ``side`` pixels.

    The label is the class_id of each pixel, and `IGNORED` for unseen classes, void, crowds and padding. Arguments are
    those of `panoptic_sample`, but segments may have any class_id.
    """
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    assert num_seen <= IGNORED, f"{num_seen} seen classes leave no label for ignored pixels"
    height, width = label_HW.shape
    padded_label = np.full((1, side, side), IGNORED, np.int64)
    inside = padded_label[0, :height, :width]
    for segment in record.segments:
        class_id = class_ids.get(segment.category_id, num_seen)
        if class_id < num_seen and not segment.iscrowd:
            inside[label_HW == segment.id] = class_id
    found = SegDataSample(metainfo={"view_shape": (height, width), "image_id": record.image_id})
    found.gt_sem_seg = PixelData(data=torch.from_numpy(padded_label))
    return {"inputs": _padded(image_HW3, side), "data_samples": found}


def _padded(image_HW3: NDArray[np.uint8], side: int) -> torch.Tensor:
    padded = np.zeros((side, side, 3), np.uint8)
    padded[: image_HW3.shape[0], : image_HW3.shape[1]] = image_HW3
    return torch.from_numpy(padded.transpose(2, 0, 1).copy())
