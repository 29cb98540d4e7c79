"""The training views of a set of labelled images, and their order.

The global batch of iteration i, with the augmentation of each image, depends only on (seed, i), not on earlier
iterations or on the number of processes. A resumed run therefore gets the same batches as an uninterrupted one.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.utils.data import Dataset, Sampler

from scaseg_cli.base.augmentation import Segments, augmented, panoptic_segments, semantic_segments, training_view
from scaseg_cli.data.images import read_image, read_segments
from scaseg_cli.split.classes import read_classes
from scaseg_cli.split.lists import open_set
from scaseg_cli.tasks import Task, task_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scaseg_cli.data.records import LabelledSet
    from scaseg_cli.recipe.base_section import Base
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir
    from scaseg_cli.split.classes import ClassList

Key = tuple[int, int]  # image index, position in the stream of samples


class TrainingViews(Dataset[dict[str, Any]]):
    """Flipped, scaled and cropped views, labelled with the class ids of seen classes.

    Args:
        images: the training set.
        classes: the class ids of its categories, and which of them are seen.
        task: the task; its kind of labels determines the format of a sample.
        base: the recipe's section, with crop, scale and flip.
        seed: seed of the augmentation.
    """

    def __init__(self, images: LabelledSet, classes: ClassList, task: Task, base: Base, seed: int) -> None:
        self.images, self.classes, self.base, self.seed = images, classes, base, seed
        is_semantic = task.labels == "semantic"
        self._segments = semantic_segments if is_semantic else panoptic_segments
        self._list_labelled = is_semantic and base.unseen_pixels == "ignored"
        # small datasets are decoded once; COCO does not fit into memory
        small = images.images and max(r.width * r.height for r in images.images) <= 128 * 128
        self.differing: dict[int, tuple[int, bool]] = {}  # by image index: `ReadLabel` of the labels read here
        self._read = lru_cache(maxsize=None if small else 0)(self._read_image)

    def __len__(self) -> int:
        return len(self.images.images)

    def _read_image(self, index: int) -> tuple[np.ndarray, Segments]:
        record = self.images.images[index]
        label = read_segments(self.images, record)
        self.differing[index] = (label.num_empty, label.has_unnamed)
        image = read_image(self.images.image_path(record), record, self.images.turned)
        return image, self._segments(label.record, label.ids_HW, self.classes.class_ids, self.classes.num_seen)

    def __getitem__(self, key: Key) -> dict[str, Any]:
        """Make one training view, as `training_view` describes it."""
        index, position = key
        rng = np.random.default_rng((self.seed, position))
        image, segments = self._read(index)
        image, numbers = augmented(image, segments.numbers_HW, self.base, rng)
        return training_view(
            image,
            segments._replace(numbers_HW=numbers),
            self.base.crop,
            self.images.images[index].image_id,
            self._list_labelled,
        )


def training_views(recipe: Recipe, run: RunDir) -> TrainingViews:
    """Open the recipe's training views.

    Raises:
        ScasegError: the data has not been split, or image or label files are missing.
    """
    images, classes = open_set(recipe, run, "train"), read_classes(run)
    return TrainingViews(images, classes, task_of(recipe), recipe.base, recipe.seed)


def collate(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Collate a batch for mmengine's models: lists, which the network's preprocessor stacks."""
    return {key: [item[key] for item in samples] for key in ("inputs", "data_samples")}


class SampleOrder(Sampler[list[Key]]):
    """Yields this process's part of each iteration's batch, in a new order each epoch.

    Args:
        num_images: number of training images.
        batch_size: images per step over all processes.
        seed: seed of the orders.
        start: first iteration to yield.
        stop: the iteration after the last one.
        rank: rank of this process.
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
