"""Makes one training view: flipped, scaled, cropped, and labelled with a map of segment numbers.

The map says of each pixel which segment it belongs to: 0 is none, and n + 1 the n-th. One byte a pixel crosses from the
loader's processes to the network's, for any number of segments; `mask_points` compares masks with it on the device.

Shapes: G segments, H W pixels.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scaseg_cli.data.records import ImageRecord
    from scaseg_cli.recipe.base_section import Base

_LARGEST = 4  # upper limit of the longer side, in crops, with resize: shorter; as in MMSegmentation's Mask2Former
_BYTE = 255
_ID_LIMIT = 2**24  # of a panoptic PNG's three bytes


class Segments(NamedTuple):
    """The segments of an image that the network learns.

    Attributes:
        numbers_HW: 1 + the index of each pixel's segment, 0 without one; uint8, or int32 for more than 255 segments.
        labels_G: the class_id of each segment.
    """

    numbers_HW: NDArray[Any]
    labels_G: NDArray[np.int64]


class Annotated(NamedTuple):
    """The label of a training view.

    Attributes:
        labels: the class_id of each segment with a pixel, int64 [G].
        numbers: 1 + the index of each pixel's segment, 0 without one and in the padding [side, side].
        view_shape: height and width of the view without padding.
        image_id: the image.
        labelled: the flat indices of the pixels with a segment, int32 [V], where only they are compared; else None.
    """

    labels: Tensor
    numbers: Tensor
    view_shape: tuple[int, int]
    image_id: int | str
    labelled: Tensor | None = None

    @property
    def padded_shape(self) -> tuple[int, int]:
        """Height and width of the view with padding."""
        return self.numbers.shape[0], self.numbers.shape[1]

    def to(self, device: torch.device) -> Annotated:
        """Move the tensors to ``device``; the host does not wait for those in pinned memory."""
        labels, numbers = (tensor.to(device, non_blocking=True) for tensor in (self.labels, self.numbers))
        labelled = self.labelled.to(device, non_blocking=True) if self.labelled is not None else None
        return self._replace(labels=labels, numbers=numbers, labelled=labelled)

    def masks(self) -> Tensor:
        """The mask of each segment, bool [G, side, side]."""
        own_G = torch.arange(1, len(self.labels) + 1, dtype=self.numbers.dtype, device=self.numbers.device)
        return self.numbers == own_G[:, None, None]


def panoptic_segments(
    record: ImageRecord, label_HW: NDArray[np.int32], class_ids: dict[int, int], num_seen: int
) -> Segments:
    """Number the segments of a panoptic label; crowds and segments of other categories are none.

    Args:
        record: the image's segments.
        label_HW: segment ids.
        class_ids: category_id -> class_id.
        num_seen: number of seen classes; the split guarantees that all class_ids are below it.
    """
    segments = [s for s in record.segments if not s.iscrowd and s.category_id in class_ids]
    labels = np.array([class_ids[s.category_id] for s in segments], dtype=np.int64)
    assert (labels < num_seen).all(), f"image {record.image_id} contains an unseen class"
    ids = np.array([s.id for s in segments], np.int64)
    return Segments(_numbered(label_HW, ids, np.arange(1, len(ids) + 1)), labels)


def semantic_segments(
    record: ImageRecord, label_HW: NDArray[np.int32], class_ids: dict[int, int], num_seen: int
) -> Segments:
    """Number the seen classes of a label, in the order of their class_ids; unseen classes, void and crowds are none.

    Arguments are those of `panoptic_segments`, but segments may have any class_id.
    """
    found = [
        (s.id, class_id)
        for s in record.segments
        if not s.iscrowd and (class_id := class_ids.get(s.category_id, num_seen)) < num_seen
    ]
    ids, of_id = (np.array([pair[column] for pair in found], np.int64) for column in (0, 1))
    labels, place = np.unique(of_id, return_inverse=True)
    return Segments(_numbered(label_HW, ids, place + 1), labels)


class _Scratch(threading.local):
    """A thread's table of the ids of panoptic PNGs, 0 between calls; only pages that ids fall into take memory."""

    def __init__(self) -> None:
        self.table = np.zeros(_ID_LIMIT, np.uint8)


_scratch = _Scratch()


def _numbered(label_HW: NDArray[np.int32], ids: NDArray[np.int64], numbers: NDArray[np.int64]) -> NDArray[Any]:
    """Replace each id by its number, and all other values by 0."""
    largest, length = int(numbers.max(initial=0)), int(label_HW.max(initial=0)) + 1
    if largest <= _BYTE and length <= _ID_LIMIT:
        table = _scratch.table  # a new one of this length would take longer than all else
    else:
        table = np.zeros(length, np.uint8 if largest <= _BYTE else np.int32)
    inside = ids < len(table)
    table[ids[inside]] = numbers[inside]
    found = table[label_HW]
    table[ids[inside]] = 0
    return found


def augmented(
    image_HW3: NDArray[Any], label_HW: NDArray[Any], base: Base, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Randomly flip, scale and crop an image, uint8, and the label of each pixel, an integer.

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


def training_view(
    image_HW3: NDArray[np.uint8], segments: Segments, side: int, image_id: int | str, list_labelled: bool = False
) -> dict[str, Any]:
    """Make a training view, padded at the right and bottom to ``side`` pixels.

    Args:
        image_HW3: the view, RGB.
        segments: its segments, of which some may have no pixel here.
        side: side of the crop.
        image_id: the image's id.
        list_labelled: whether to list the pixels that have a segment.

    Returns:
        ``inputs``, uint8 [3, side, side], and ``data_samples``, the `Annotated` view.
    """
    height, width = segments.numbers_HW.shape
    numbers = np.zeros((side, side), segments.numbers_HW.dtype)
    numbers[:height, :width] = segments.numbers_HW
    visible_N = _visible(numbers, len(segments.labels_G) + 1)
    if not visible_N[1:].all():
        numbers = _renumbered(numbers, visible_N)
    labelled = torch.from_numpy(np.flatnonzero(numbers).astype(np.int32)) if list_labelled else None
    planes = np.zeros((3, side, side), np.uint8)
    for plane, channel in zip(planes, cv2.split(np.ascontiguousarray(image_HW3)), strict=True):
        plane[:height, :width] = channel
    labels = torch.from_numpy(segments.labels_G[visible_N[1:]])
    found = Annotated(labels, torch.from_numpy(numbers), (height, width), image_id, labelled)
    return {"inputs": torch.from_numpy(planes), "data_samples": found}


def _visible(numbers_HW: NDArray[Any], count: int) -> NDArray[np.bool_]:
    """Which of the numbers below ``count`` a map has; it looks only where the number changes along a row."""
    flat = numbers_HW.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    found = np.zeros(count, bool)
    found[flat[:1]] = True
    found[flat[changes]] = True
    return found


def _renumbered(numbers_HW: NDArray[Any], visible_N: NDArray[np.bool_]) -> NDArray[Any]:
    """Number the visible segments from 1 on, in the same order."""
    table = np.zeros(max(_BYTE + 1, len(visible_N)), numbers_HW.dtype)
    table[1 : len(visible_N)] = np.cumsum(visible_N[1:])
    return cv2.LUT(numbers_HW, table) if numbers_HW.dtype == np.uint8 else table[numbers_HW]
