"""An image set and the frozen base model that segments it, with the loop over images that every pass uses.

Background threads read the next images while the network processes a batch. A batch is freed before the next begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from scaseg_cli.base.device import choose_device
from scaseg_cli.base.segmentor import Encoded, Segmentor, load_segmentor
from scaseg_cli.data.images import ReadLabel, read_image, read_segments
from scaseg_cli.data.label_tally import LabelTally
from scaseg_cli.data.prefetch import prefetched
from scaseg_cli.evaluation.clip_on_masks.use import ClipOnMasks, Regions
from scaseg_cli.evaluation.inference import Inference, PreparedImage, inference_of
from scaseg_cli.results.console import meter
from scaseg_cli.split.classes import ClassList, read_classes
from scaseg_cli.split.lists import open_set

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from scaseg_cli.data.records import ImageRecord, LabelledSet
    from scaseg_cli.measures.measure import Measure
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir
    from scaseg_cli.split.lists import Part

_READERS = 2  # threads that read images and labels, each one batch ahead


@dataclass(frozen=True)
class ScoredSet:
    """One image set and the frozen base model; each is opened once, on first use.

    Attributes:
        recipe: gives the data, the base model and the batch size.
        run: the run folder with the finished base stage.
        part: ``selection`` for choices, ``validation`` for reported results.
        trained: the base model while it is trained; None: the finished one of the run folder.
        opened: the images, if they have been opened already.
    """

    recipe: Recipe
    run: RunDir
    part: Part
    trained: Segmentor | None = None
    opened: LabelledSet | None = None

    @cached_property
    def images(self) -> LabelledSet:
        """The images, in the split's order.

        Raises:
            ScasegError: the data has not been split, its annotations are wrong, or files are missing.
        """
        return self.opened or open_set(self.recipe, self.run, self.part)

    @cached_property
    def classes(self) -> ClassList:
        """The run's classes."""
        return read_classes(self.run)

    @cached_property
    def segmentor(self) -> Segmentor:
        """The base model.

        Raises:
            ScasegError: it is missing, damaged, or was made by another recipe.
        """
        return self.trained or load_segmentor(self.recipe, self.run)

    @cached_property
    def inference(self) -> Inference:
        """The inference of the recipe's task."""
        return inference_of(self.recipe, self.classes, choose_device(self.recipe))

    @cached_property
    def tally(self) -> LabelTally:
        """The labels that `score` has read, and how they differ from their annotations."""
        return LabelTally()

    @property
    def measure(self) -> Measure[Any]:
        """The measure of the recipe's task."""
        return self.inference.measure

    def batches(
        self, records: Sequence[ImageRecord], title: str, rank: int = 0, size: int = 1
    ) -> Iterator[list[Labelled]]:
        """Read images batch by batch under a progress bar; background threads read ahead of the caller.

        Args:
            records: the images, in order.
            title: title of the progress bar.
            rank: rank of this process; batch b goes to process b % size.
            size: the number of processes.

        Raises:
            ScasegError: an image or its label cannot be read or does not fit its annotation.
        """
        batch_size = self.recipe.evaluation.batch_size
        own = [records[first : first + batch_size] for first in range(0, len(records), batch_size)][rank::size]
        with meter(title, sum(map(len, own)), unit="images") as shown:
            for batch in prefetched(self.read, own, _READERS, depth=1):
                yield batch
                shown.advance(len(batch))

    def read(self, records: Sequence[ImageRecord]) -> list[Labelled]:
        """Read images and labels from their files.

        Raises:
            ScasegError: an image or its label cannot be read or does not fit its annotation.
        """
        found = []
        for record in records:
            image_HW3 = read_image(self.images.image_path(record), record, self.images.turned)
            found.append(Labelled(image_HW3, read_segments(self.images, record)))
        return found

    @cached_property
    def on_masks(self) -> ClipOnMasks:
        """The run's CLIP for masks; it is loaded only if a candidate uses it."""
        return ClipOnMasks(self.recipe, self.run, choose_device(self.recipe))

    def regions(self, batch: Sequence[Labelled], encoded: Sequence[Encoded]) -> Regions:
        """The masks of a segmented batch, for candidates that use CLIP."""
        return Regions(self.on_masks, [item.image_HW3 for item in batch], encoded)

    def segment(self, batch: Sequence[Labelled]) -> tuple[Tensor, list[PreparedImage[Any]], Regions]:
        """Segment a batch.

        Returns:
            Its visual embeddings v [B, Q, D]; each image's label and masks, ready to be scored; and the masks again,
            for candidates that use CLIP.
        """
        encoded = self.segmentor.encode([item.image_HW3 for item in batch])
        visual_BQD = torch.stack([one.visual_QD for one in encoded])
        prepared = [self.prepared(item, one) for item, one in zip(batch, encoded, strict=True)]
        return visual_BQD, prepared, self.regions(batch, encoded)

    def prepared(self, item: Labelled, encoded: Encoded) -> PreparedImage[Any]:
        """Prepare an image's label and its masks, as `Segmentor.encode` returns them, to be scored."""
        height, width = item.label_HW.shape
        masks_of = partial(encoded.masks, (height, width))
        return self.inference.prepare(item.label_HW, self.classes.arrays_of(item.record.segments), masks_of)


class Labelled(NamedTuple):
    """An image and its label, read from their files."""

    image_HW3: NDArray[np.uint8]
    label: ReadLabel

    @property
    def record(self) -> ImageRecord:
        """The image's record, with the segments that have a pixel."""
        return self.label.record

    @property
    def label_HW(self) -> NDArray[np.int32]:
        """The segment id of every pixel; 0 is void."""
        return self.label.ids_HW
