"""Training views of a panoptic set, and the order in which they come.

The global batch of iteration i, its images and each image's augmentation depend on (seed, i) alone: not on what ran
before, nor on the number of processes. So a resumed run sees what an uninterrupted one would have.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from scaseg_cli.data.images import read_image, read_label

if TYPE_CHECKING:
    from scaseg_cli.data.records import ImageRecord, LabelledSet
    from scaseg_cli.recipe.schema import Base

Key = tuple[int, int]  # image index, position in the stream of samples


class TrainingViews(Dataset):
    """Flipped, scaled and cropped views with their segments' masks and class ids.

    Args:
        images: the training set.
        class_ids: category_id -> class_id; segments of other categories and crowds take no part.
        base: the recipe's section, for crop, scale and flip.
        seed: of the augmentation.
    """

    def __init__(self, images: LabelledSet, class_ids: dict[int, int], base: Base, seed: int) -> None:
        self.images, self.class_ids, self.base, self.seed = images, class_ids, base, seed
        # small images are decoded once; COCO's would not fit
        small = images.images and max(r.width * r.height for r in images.images) <= 128 * 128
        self._read = lru_cache(maxsize=None if small else 0)(self._read_image)

    def __len__(self) -> int:
        return len(self.images.images)

    def _read_image(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        record = self.images.images[index]
        return read_image(self.images.image_path(record), record), read_label(self.images, record)

    def __getitem__(self, key: Key) -> dict[str, Any]:
        """One training view: ``inputs`` uint8 RGB [3, crop, crop] and ``data_samples`` with masks and labels."""
        index, position = key
        record = self.images.images[index]
        rng = np.random.default_rng((self.seed, position))
        image, label = augmented(*self._read(index), self.base, rng)
        return sample(record, image, label, self.class_ids, self.base.crop)


def augmented(
    image: np.ndarray, label: np.ndarray, base: Base, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Random flip, scale and crop of an image [H, W, 3] and its segment ids [H, W].

    The image is first scaled so that it fits the crop, times a random factor: Mask2Former's large-scale jitter.
    """
    if rng.random() < base.flip:
        image, label = image[:, ::-1], label[:, ::-1]
    height, width = label.shape
    factor = min(base.crop / height, base.crop / width) * rng.uniform(*base.scale)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    if size != (width, height):
        image = cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_LINEAR)
        label = cv2.resize(np.ascontiguousarray(label), size, interpolation=cv2.INTER_NEAREST_EXACT)
    top = int(rng.integers(max(0, label.shape[0] - base.crop) + 1))
    left = int(rng.integers(max(0, label.shape[1] - base.crop) + 1))
    window = np.s_[top : top + base.crop, left : left + base.crop]
    return image[window], label[window]


def sample(
    record: ImageRecord, image: np.ndarray, label: np.ndarray, class_ids: dict[int, int], side: int
) -> dict[str, Any]:
    """The view as mmdet's network takes it, padded at the right and below to ``side`` pixels."""
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData

    height, width = label.shape
    segments = [s for s in record.segments if not s.iscrowd and s.category_id in class_ids]
    ids = np.array([s.id for s in segments], dtype=label.dtype)
    masks = label[None] == ids[:, None, None]
    visible = masks.any((1, 2))
    labels = np.array([class_ids[s.category_id] for s in segments], dtype=np.int64)
    padded_image = np.zeros((side, side, 3), np.uint8)
    padded_image[:height, :width] = image
    padded_masks = np.zeros((int(visible.sum()), side, side), bool)
    padded_masks[:, :height, :width] = masks[visible]
    found = DetDataSample(metainfo={"img_shape": (height, width), "image_id": record.image_id})
    found.gt_instances = InstanceData(labels=torch.from_numpy(labels[visible]), masks=torch.from_numpy(padded_masks))
    return {"inputs": torch.from_numpy(padded_image.transpose(2, 0, 1).copy()), "data_samples": found}


def collate(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """A batch as mmengine's models take it: lists, stacked by the network's preprocessor."""
    return {key: [item[key] for item in samples] for key in ("inputs", "data_samples")}


class SampleOrder(Sampler[list[Key]]):
    """This process's share of each iteration's batch, epoch after epoch in a new order.

    Args:
        num_images: of the training set.
        batch_size: images a step, all processes together.
        seed: of the orders.
        start: first iteration to yield.
        stop: the iteration after the last.
        rank: this process.
        world_size: number of processes.
    """

    def __init__(
        self, num_images: int, batch_size: int, seed: int, start: int, stop: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.num_images, self.batch_size, self.seed = num_images, batch_size, seed
        self.start, self.stop, self.rank, self.world_size = start, stop, rank, world_size
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def __len__(self) -> int:
        return self.stop - self.start

    def _image(self, position: int) -> int:
        epoch, place = divmod(position, self.num_images)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = np.random.default_rng((self.seed, 1, epoch)).permutation(self.num_images)
        return int(self._order[place])

    def __iter__(self) -> Iterator[list[Key]]:
        for iteration in range(self.start, self.stop):
            first = iteration * self.batch_size
            positions = range(first + self.rank, first + self.batch_size, self.world_size)
            yield [(self._image(position), position) for position in positions]
