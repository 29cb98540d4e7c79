"""What one set of labelled images is made of: categories, segments and image records.

One type serves both kinds of labels. Panoptic labels have a segment for each object; a label map, of one class id a
pixel, has a segment for each class in it, so that what works from segments need not know the kind.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

import msgspec
import numpy as np

from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

VOID = 0  # the segment id of pixels that belong to no segment
MAX_SEGMENT_ID = 256**3 - 1  # of a panoptic PNG
IGNORED = 255  # what such pixels are in a label map
MAX_MAP_VALUE = 65_535  # of a label map with 16 bits a pixel


@dataclass(frozen=True, slots=True)
class Category:
    """A class as the data knows it; ``id`` is the dataset's own category_id.

    ``colour`` is RGB, for pictures, where the data has one; categories that differ in it alone are the same.
    """

    id: int
    name: str
    isthing: bool
    colour: tuple[int, int, int] | None = field(default=None, compare=False)


class Segment(msgspec.Struct, frozen=True, gc=False):
    """One segment of one image: what msgspec makes straight from an annotation file, as COCO has 1.3 million of them.

    Attributes:
        id: the value of its pixels in the label, never 0, unique in its image; of a label map, category_id + 1.
        category_id: the dataset's own.
        area: pixels.
        bbox: x, y, width, height in pixels; of a label map, the whole image.
        iscrowd: 1 for a region of many instances that nobody told apart.
    """

    id: Annotated[int, msgspec.Meta(ge=1, le=MAX_SEGMENT_ID)]
    category_id: int
    area: int | float
    bbox: tuple[int | float, int | float, int | float, int | float]
    iscrowd: Annotated[int, msgspec.Meta(ge=0, le=1)]


class ImageRecord(msgspec.Struct, frozen=True, gc=False):
    """One image and its segments; width and height in pixels."""

    image_id: int
    file_name: str
    label_name: str
    width: int
    height: int
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class LabelledSet:
    """Images with labels, and the folders that they lie in.

    Attributes:
        images_dir: the images' folder.
        labels_dir: the folder of the label PNGs.
        categories: the data's.
        images: one record an image.
        map_values: where the labels are label maps, the value that each category's pixels have there; None where
            they are panoptic PNGs.
    """

    images_dir: Path
    labels_dir: Path
    categories: tuple[Category, ...]
    images: tuple[ImageRecord, ...]
    map_values: tuple[int, ...] | None = None

    @cached_property
    def segment_ids(self) -> NDArray[np.int32]:
        """The segment id of each value that a label map may hold, int32 [65536]; -1 where it is no class."""
        assert self.map_values is not None  # panoptic PNGs hold segment ids themselves
        table = np.full(MAX_MAP_VALUE + 1, -1, dtype=np.int32)
        table[list(self.map_values)] = [category.id + 1 for category in self.categories]
        table[IGNORED] = VOID
        return table

    def image_path(self, record: ImageRecord) -> Path:
        """The image's file."""
        return self.images_dir / record.file_name

    def label_path(self, record: ImageRecord) -> Path:
        """The image's label PNG."""
        return self.labels_dir / record.label_name

    def only(self, image_ids: Iterable[int]) -> LabelledSet:
        """The same set with these images alone, in the order given.

        Raises:
            ScasegError: an image id is not in the set.
        """
        by_id = {record.image_id: record for record in self.images}
        wanted = list(image_ids)
        unknown = [image_id for image_id in wanted if image_id not in by_id]
        if unknown:
            raise ScasegError(
                f"{len(unknown)} image ids are not in the annotations of {self.images_dir}, among them {unknown[:5]}",
                "The annotations changed since the split: run `scaseg split-dataset` again.",
            )
        return replace(self, images=tuple(by_id[image_id] for image_id in wanted))
