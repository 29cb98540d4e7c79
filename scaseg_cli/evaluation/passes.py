"""One pass of the network over an image set, on which any number of classifiers is counted.

Images are scored and forgotten batch by batch; those to come are read in background threads meanwhile. What is counted
are whole numbers, so that neither the order of the images nor how they are divided among processes changes a figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scaseg_cli.base.device import choose_device
from scaseg_cli.base.segmentor import Segmentor, load_segmentor
from scaseg_cli.data.ahead import computed_ahead
from scaseg_cli.data.images import read_image, read_label
from scaseg_cli.evaluation.lineup import Lineup
from scaseg_cli.evaluation.measure import Counts, Measure, PreparedImage, measure_of
from scaseg_cli.recipe.schema import Recipe
from scaseg_cli.results.console import meter
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split import ClassList, open_set, read_classes
from scaseg_cli.split.lists import Part

if TYPE_CHECKING:
    from scaseg_cli.data.records import ImageRecord, LabelledSet

_READERS = 2  # threads that read images and labels, each one batch ahead


@dataclass(frozen=True)
class ScoredSet:
    """One image set and the frozen base model: opened once for all that look at it, each when it is first used.

    Attributes:
        recipe: with the data and the base model; its batch size is taken.
        run: the run folder with the finished base stage.
        part: ``selection`` for choices, ``validation`` for what is reported.
    """

    recipe: Recipe
    run: RunDir
    part: Part

    @cached_property
    def images(self) -> LabelledSet:
        """The images, in the split's order.

        Raises:
            ScasegError: the data has not been split, its annotations are wrong, or files are missing.
        """
        return open_set(self.recipe, self.run, self.part)

    @cached_property
    def classes(self) -> ClassList:
        """The run's classes."""
        return read_classes(self.run)

    @cached_property
    def segmentor(self) -> Segmentor:
        """The base model.

        Raises:
            ScasegError: it is missing, of another recipe, or damaged.
        """
        return load_segmentor(self.recipe, self.run)

    @cached_property
    def measure(self) -> Measure[Any]:
        """The task's measure."""
        return measure_of(self.recipe, self.classes, choose_device(self.recipe))

    def read(self, records: Sequence[ImageRecord]) -> list[Labelled]:
        """Images and labels from their files.

        Raises:
            ScasegError: an image or its label cannot be read or does not fit its annotation.
        """
        return [
            Labelled(record, read_image(self.images.image_path(record), record), read_label(self.images, record))
            for record in records
        ]

    def segment(self, batch: Sequence[Labelled]) -> tuple[Tensor, list[PreparedImage[Any]]]:
        """Visual embeddings v [B, Q, D] of a batch of images, and each one's label and masks, ready to be scored."""
        segmented = self.segmentor.segment([item.image_HW3 for item in batch])
        visual_BQD = torch.stack([visual for visual, _ in segmented])
        return visual_BQD, [self.prepared(item, masks) for item, (_, masks) in zip(batch, segmented, strict=True)]

    def prepared(self, item: Labelled, masks_QHW: Tensor) -> PreparedImage[Any]:
        """An image's label and its masks, as `Segmentor.segment` gives them, ready to be scored."""
        segments = item.record.segments
        return self.measure.prepare(
            item.label_HW,
            [segment.id for segment in segments],
            [self.classes.class_ids[segment.category_id] for segment in segments],
            [segment.iscrowd for segment in segments],
            masks_QHW,
        )


class Labelled(NamedTuple):
    """An image and its label, read."""

    record: ImageRecord
    image_HW3: NDArray[np.uint8]
    label_HW: NDArray[np.int32]


@torch.no_grad()
def count(scored: ScoredSet, lineup: Lineup, rank: int = 0, size: int = 1) -> list[Counts]:
    """Count every entry of ``lineup`` on this process's share of the images: batch b goes to process b % size."""
    records, batch_size = scored.images.images, scored.recipe.evaluation.batch_size
    batches = [records[first : first + batch_size] for first in range(0, len(records), batch_size)][rank::size]
    counts: list[Counts] = [scored.measure.new_counts() for _ in lineup.entries]
    with meter(f"scoring {len(counts)} on {scored.part}", sum(map(len, batches))) as shown:
        for batch in computed_ahead(scored.read, batches, _READERS, ahead=1):
            _count_batch(scored, lineup, batch, counts)
            shown.advance(len(batch))
    return counts


def _count_batch(scored: ScoredSet, lineup: Lineup, batch: Sequence[Labelled], counts: list[Counts]) -> None:
    """Count a batch; its masks are gone when this returns."""
    visual_BQD, prepared = scored.segment(batch)
    shares = lineup.shares(visual_BQD, scored.classes.num_seen)
    for b, image in enumerate(prepared):
        image.add(counts, [shares_BQN1[b] for shares_BQN1 in shares], lineup.rules)
