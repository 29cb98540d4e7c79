"""Scores many semantic classifiers on one image from coarse to fine tiles, with the counts of `pixel_classes`.

The mask probabilities of a tile lie between its smallest and its largest. So do the sums of a class, up to rounding: if
no other class can reach the smallest sum of one class, that class has every pixel of the tile. Other tiles are divided,
down to 4 x 4 pixels, and what is undecided then is multiplied pixel by pixel. Each candidate is decided by itself.

Shapes: Q queries, N classes, K of them, T tiles of a level, t some of them, G labelled classes of the image, E entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from scaseg_cli.evaluation.semantic.pixel_classes import (
    Decided,
    Floats32,
    Ints,
    by_class,
    least_near,
    product_on_cpu,
    rounding,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scaseg_cli.measures.mean_iou import Confusion, PixelCounts, SemanticLabel

Value = TypeVar("Value", bound=np.generic)

SIDE = 4  # pixels of the smallest tiles
_AREA = SIDE * SIDE
_UNDECIDED = -1
_LEVELS = 4  # 4, 8, 16 and 32 pixels
# Tiles are faster from so many classes x candidates and so many multiplications, measured on images of 64 x 64 to
# 512 x 1024 pixels with 5 to 171 classes: dividing the masks pays off, and so do the steps of each candidate.
_LEAST_CLASSES = 64
_LEAST_WORK, _LEAST_WORK_OF_ALL = 8_000_000, 60_000_000
_MOST_LEFT = 0.6  # of the full product, at which a candidate is multiplied in full instead
_CHECKED_SIDE = 8  # the largest tiles after which this is checked
_CHUNK_BYTES = 1 << 21  # of mask probabilities at a time, so that they stay in a core's cache
_TRIED = 2  # candidates after which the others are multiplied in full, if these had to be
_GATHERED = 256  # tiles at a time


def are_faster(num_classes: int, num_candidates: int, masks_QX: Tensor) -> bool:
    """Whether so many candidates are counted faster by tiles than one by one in full, on this device."""
    work = num_classes * masks_QX.numel()
    return (
        masks_QX.device.type == "cpu"
        and num_classes * num_candidates >= _LEAST_CLASSES
        and work >= _LEAST_WORK
        and work * num_candidates >= _LEAST_WORK_OF_ALL
    )


@dataclass(frozen=True)
class Level:
    """The tiles of one size, row by row.

    Attributes:
        shape: rows and columns of tiles.
        largest_TQ, smallest_TQ: of each mask's probabilities in each tile.
        is_labelled_T: whether a tile has a labelled pixel.
    """

    shape: tuple[int, int]
    largest_TQ: Floats32
    smallest_TQ: Floats32
    is_labelled_T: NDArray[np.bool_]

    def coarser(self) -> Level:
        """Return the tiles of twice the side."""
        rows, columns = ((side + 1) // 2 for side in self.shape)
        largest, smallest = (
            _pooled(values.reshape(*self.shape, -1), 2, operation).reshape(rows * columns, -1)
            for values, operation in ((self.largest_TQ, np.maximum), (self.smallest_TQ, np.minimum))
        )
        is_labelled = _pooled(self.is_labelled_T.reshape(self.shape), 2, np.logical_or).reshape(-1)
        return Level((rows, columns), largest, smallest, is_labelled)


class Labels(NamedTuple):
    """The labels of the smallest tiles.

    Attributes:
        class_ids_G: the classes in the image's label.
        place_TA: index of each pixel's class, G without a label and outside the image.
        tile_E, place_E, pixels_E: how many pixels of a tile have which class; an entry for each pair that there is, or
            for each pixel of a tile with several.
    """

    class_ids_G: NDArray[np.int64]
    place_TA: NDArray[np.int32]
    tile_E: Ints
    place_E: NDArray[np.int32]
    pixels_E: NDArray[np.int64]


class Left(NamedTuple):
    """One candidate after its tiles: the class of each tile or `_UNDECIDED`, the undecided tiles, and their classes."""

    class_T: NDArray[np.int32]
    tiles: Ints
    classes: Ints


class TiledImage:
    """One image's label and mask probabilities, divided into tiles.

    Args:
        label: the image's label.
        masks_QX: mask probabilities, float32, contiguous, on the CPU.
    """

    def __init__(self, label: SemanticLabel, masks_QX: Tensor) -> None:
        self._label, self._masks_QX = label, masks_QX
        self._margin = max(1e-4, 2 * rounding(len(masks_QX)))
        self._chunk = max(1, _CHUNK_BYTES // (4 * _AREA * len(masks_QX)))  # tiles
        self._pixel_TA = _pixels(label.shape)
        self._labels = _labels(label)
        largest_TQ, smallest_TQ = _extremes(masks_QX.numpy().reshape(-1, *label.shape))
        is_labelled_T = (self._labels.place_TA != len(self._labels.class_ids_G)).any(1)
        height, width = label.shape
        levels = [Level((-(-height // SIDE), -(-width // SIDE)), largest_TQ, smallest_TQ, is_labelled_T)]
        while len(levels) < _LEVELS:
            levels.append(levels[-1].coarser())
        self._levels = levels[::-1]

    def add(self, counts: Sequence[Confusion | PixelCounts], probabilities: Sequence[Tensor]) -> None:
        """Count the image for each candidate, given its class probabilities [Q, N + 1]."""
        classifiers = [by_class(probabilities_QN1) for probabilities_QN1 in probabilities]
        left: list[Left | None] = []
        for probabilities_KQ, _ in classifiers:
            in_vain = len(left) >= _TRIED and not any(left)  # only time depends on it: the counts are the same
            left.append(None if in_vain else self._after_tiles(probabilities_KQ))
        is_left_T = np.zeros(len(self._pixel_TA), bool)
        for one in left:
            if one is not None:
                is_left_T[one.tiles] = True
        gathered = np.flatnonzero(is_left_T)
        place_T = np.cumsum(is_left_T) - 1
        masks_tAQ = self._gathered(gathered)
        for confusion, (probabilities_KQ, ids), one in zip(counts, classifiers, left, strict=True):
            if one is None:
                confusion.add(self._label, ids[product_on_cpu(probabilities_KQ, self._masks_QX)])
            else:
                self._count(confusion, probabilities_KQ, ids, one, masks_tAQ, place_T)

    def _after_tiles(self, probabilities_KQ: Floats32) -> Left | None:
        """Decide tiles from coarse to fine; None if so much is left that the full product is faster."""
        classes = np.arange(len(probabilities_KQ))
        shape = self._levels[0].shape
        class_T = np.full(shape[0] * shape[1], _UNDECIDED, np.int32)
        tiles = classes[:0]
        for number, level in enumerate(self._levels):
            if number:
                rows, columns = level.shape
                class_T = class_T.reshape(shape).repeat(2, 0)[:rows].repeat(2, 1)[:, :columns].flatten()
                shape = level.shape
            tiles = np.flatnonzero((class_T == _UNDECIDED) & level.is_labelled_T)
            if not len(tiles):
                continue
            rows_KQ = torch.from_numpy(probabilities_KQ[classes])
            reached_Kt = (rows_KQ @ torch.from_numpy(level.largest_TQ[tiles]).T).numpy()
            sure_Kt = (rows_KQ @ torch.from_numpy(level.smallest_TQ[tiles]).T).numpy()
            alive_Kt = reached_Kt >= least_near(np.maximum.reduce(sure_Kt, axis=0), self._margin)
            is_decided = np.count_nonzero(alive_Kt, axis=0) == 1
            class_T[tiles[is_decided]] = classes[alive_Kt[:, is_decided].argmax(0)]
            alive_Kt, tiles = alive_Kt[:, ~is_decided], tiles[~is_decided]
            classes = classes[alive_Kt.any(1)]
            side = SIDE << (_LEVELS - 1 - number)
            work = len(classes) * len(tiles) * side * side
            if side <= _CHECKED_SIDE and work > _MOST_LEFT * len(probabilities_KQ) * self._masks_QX.shape[1]:
                return None
        return Left(class_T, tiles, classes)

    def _gathered(self, tiles: Ints) -> Tensor:
        """The mask probabilities of these tiles, [t, pixels of a tile, Q]: so each tile is one piece of memory."""
        found = torch.empty(len(tiles), _AREA, len(self._masks_QX))
        for start in range(0, len(tiles), _GATHERED):
            pixels = torch.from_numpy(self._pixel_TA[tiles[start : start + _GATHERED]].reshape(-1))
            part = found[start : start + _GATHERED].view(-1, len(self._masks_QX))
            part.copy_(self._masks_QX.index_select(1, pixels).T)
        return found

    def _count(
        self,
        confusion: Confusion | PixelCounts,
        probabilities_KQ: Floats32,
        ids: NDArray[np.integer],
        left: Left,
        masks_tAQ: Tensor,
        place_T: Ints,
    ) -> None:
        labels, columns = self._labels, len(probabilities_KQ) + 1
        rows = len(labels.class_ids_G) + 1
        # column 0 has the pixels of undecided tiles, and the last row pixels without a label
        index_E = labels.place_E * columns + (1 + left.class_T)[labels.tile_E]
        found = np.bincount(index_E, labels.pixels_E, rows * columns).astype(np.int64)
        if len(left.tiles):
            rows_KQ, num_pixels = np.ascontiguousarray(probabilities_KQ[left.classes]), _AREA * len(left.tiles)
            decided = Decided(rows_KQ, num_pixels, _AREA * self._chunk)
            for start in range(0, len(left.tiles), self._chunk):
                own = torch.from_numpy(place_T[left.tiles[start : start + self._chunk]])
                decided.append(masks_tAQ[own].view(-1, len(self._masks_QX)).T)
            index_x = labels.place_TA[left.tiles].reshape(-1) * columns + 1 + left.classes[decided.indices()]
            found += np.bincount(index_x, minlength=rows * columns)
        counts_GK = found.reshape(rows, columns)[:-1, 1:]
        confusion.add_counts(labels.class_ids_G, ids, counts_GK)


def _pixels(size: tuple[int, int]) -> Ints:
    """The flat index of each pixel of each smallest tile, [T, pixels of a tile]; outside the image, its nearest one."""
    offsets = np.arange(SIDE)
    ys, xs = (np.minimum(np.arange(0, side, SIDE)[:, None] + offsets, side - 1) for side in size)
    pixels: Ints = (ys[:, None, :, None] * size[1] + xs[None, :, None, :]).reshape(-1, _AREA)
    return pixels


def _labels(label: SemanticLabel) -> Labels:
    height, width = label.shape
    number = np.bincount(label.class_ids_L)
    class_ids_G = np.flatnonzero(number)
    place_of = np.cumsum(number > 0) - 1
    without = len(class_ids_G)
    padded = np.full((-(-height // SIDE) * SIDE, -(-width // SIDE) * SIDE), without, np.int32)
    place_HW = np.full(height * width, without, np.int32)
    place_HW[label.pixels_L] = place_of[label.class_ids_L]
    padded[:height, :width] = place_HW.reshape(height, width)
    place_TA = padded.reshape(padded.shape[0] // SIDE, SIDE, -1, SIDE).swapaxes(1, 2).reshape(-1, _AREA)
    is_one = (place_TA == place_TA[:, :1]).all(1)
    (one,), (several,) = is_one.nonzero(), (~is_one).nonzero()
    return Labels(
        class_ids_G,
        place_TA,
        np.concatenate([one, several.repeat(_AREA)]),
        np.concatenate([place_TA[one, 0], place_TA[several].reshape(-1)]),
        np.concatenate([np.full(len(one), _AREA), np.ones(_AREA * len(several), int)]),
    )


def _extremes(masks_QHW: Floats32) -> tuple[Floats32, Floats32]:
    """The largest and smallest probability of each mask in each smallest tile, both [T, Q]."""
    # mask by mask, so that both passes find it in the cache
    found = [[_pooled(mask_HW, SIDE, ufunc).reshape(-1) for ufunc in (np.maximum, np.minimum)] for mask_HW in masks_QHW]
    both_2TQ = torch.from_numpy(np.array(found)).permute(1, 2, 0).contiguous().numpy()
    return both_2TQ[0], both_2TQ[1]


def _pooled(values: NDArray[Value], side: int, operation: np.ufunc) -> NDArray[Value]:
    """The values of each ``side`` x ``side`` block in one, by ``operation``; blocks at the edge are smaller."""
    for axis in (0, 1):
        first, *others = (values[(slice(None),) * axis + (slice(start, None, side),)] for start in range(side))
        pooled = first.copy()
        for other in others:
            place = (slice(None),) * axis + (slice(other.shape[axis]),)
            operation(pooled[place], other, out=pooled[place])
        values = pooled
    return values
