"""Compare training views with a map of segment numbers with views that have a mask for each segment, the way before.

    python benchmarks/training_views.py --size published

Both are read by one worker process of a DataLoader, as in training: image and label are decoded, flipped, scaled,
cropped, and passed to this process. The CPU time of both processes counts.
"""

from __future__ import annotations

import os
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from cat_live import IMAGES, RECIPES, make_recipe, write_images
from measuring import Goal, Outcome, in_turns, machine_of, prepare, run_benchmark
from torch.utils.data import DataLoader

from scaseg_cli.base.augmentation import augmented
from scaseg_cli.base.dataset import TrainingViews, collate, training_views
from scaseg_cli.data.images import read_image, read_segments
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.split import split_dataset
from scaseg_cli.tasks import task_of

if TYPE_CHECKING:
    import argparse

NUM_IMAGES = 16
BATCH = 2


class ViewsBefore(TrainingViews):
    """Views of the same crops, labelled with a boolean mask for each segment."""

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        """Make one view: ``inputs``, and the labels and masks of its segments."""
        index, position = key
        record = self.images.images[index]
        image = read_image(self.images.image_path(record), record, self.images.turned)
        label = read_segments(self.images, record).ids_HW
        image, label = augmented(image, label, self.base, np.random.default_rng((self.seed, position)))
        side, (height, width) = self.base.crop, label.shape
        segments = [s for s in record.segments if not s.iscrowd and s.category_id in self.classes.class_ids]
        masks = label[None] == np.array([s.id for s in segments], dtype=label.dtype)[:, None, None]
        visible = masks.any((1, 2))
        labels = np.array([self.classes.class_ids[s.category_id] for s in segments], dtype=np.int64)[visible]
        padded_masks = np.zeros((len(labels), side, side), bool)
        padded_masks[:, :height, :width] = masks[visible]
        padded = np.zeros((side, side, 3), np.uint8)
        padded[:height, :width] = image
        inputs = torch.from_numpy(padded.transpose(2, 0, 1).copy())
        return {"inputs": inputs, "data_samples": (torch.from_numpy(labels), torch.from_numpy(padded_masks))}


def read_all(views: TrainingViews) -> list[dict[str, Any]]:
    """Read every view once through a worker, which has ended when this returns."""
    keys = [[(image, image) for image in range(first, first + BATCH)] for first in range(0, len(views), BATCH)]
    return list(DataLoader(views, batch_sampler=keys, collate_fn=collate, num_workers=1))


def work_of_all() -> float:
    """CPU seconds of this process and of its children that have ended."""
    return sum(os.times()[:4])


def measure(options: argparse.Namespace) -> Outcome:
    """Write images and read them both ways in turns."""
    prepare(options.device)
    rounds = options.rounds or 3
    with tempfile.TemporaryDirectory(prefix="scaseg-benchmark-") as folder:
        root = Path(folder)
        write_images(root / "data", options.size, NUM_IMAGES)
        recipe, run = make_recipe(options.size, "cpu", root / "data"), RunDir(root / "run")
        split_dataset(recipe, run)
        now = training_views(recipe, run)
        before = ViewsBefore(now.images, now.classes, task_of(recipe), recipe.base, recipe.seed)
        ways = {"before": partial(read_all, before), "now": partial(read_all, now)}
        timings = in_turns(ways, rounds, clock=work_of_all)
    per_image = 1e3 / NUM_IMAGES
    return Outcome(
        benchmark="training_views",
        device="cpu",
        size=options.size,
        ratio_of="a view with segment numbers / with masks",
        ratio=timings.ratio("now", "before"),
        goal=Goal("at most", 0.65) if options.size == "published" else None,
        figures={
            "before, ms of CPU time per image": per_image * timings.median("before"),
            "now, ms of CPU time per image": per_image * timings.median("now"),
        },
        notes=(
            f"{NUM_IMAGES} images of {IMAGES[options.size][0]} x {IMAGES[options.size][1]} pixels, crops of the recipe "
            f"{RECIPES[options.size]}, one worker process; {rounds} rounds. Before: a mask for each segment.",
        ),
        machine=machine_of("cpu"),
    )


if __name__ == "__main__":
    sys.exit(run_benchmark("Training views through a worker", ("cpu",), measure))
