"""What one set of COCO panoptic images is made of: categories, segments and image records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from scaseg_cli.errors import ScasegError

VOID = 0  # the segment id of pixels that belong to no segment


@dataclass(frozen=True, slots=True)
class Category:
    """A class as the data knows it; ``id`` is the dataset's own category_id.

    ``colour`` is RGB, for pictures, where the data has one; categories that differ in it alone are the same.
    """

    id: int
    name: str
    isthing: bool
    colour: tuple[int, int, int] | None = field(default=None, compare=False)


class Segment(NamedTuple):
    """One segment of one image. A tuple, as COCO has 1.3 million of them.

    Attributes:
        id: the value of its pixels in the label, never 0, unique in its image.
        category_id: the dataset's own.
        area: pixels.
        bbox: x, y, width, height in pixels.
        iscrowd: a region of many instances that nobody told apart.
    """

    id: int
    category_id: int
    area: int
    bbox: tuple[float, float, float, float]
    iscrowd: bool


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image and its segments; width and height in pixels."""

    image_id: int
    file_name: str
    label_name: str
    width: int
    height: int
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class LabelledSet:
    """Images with panoptic labels, and the folders that they lie in."""

    images_dir: Path
    labels_dir: Path
    categories: tuple[Category, ...]
    images: tuple[ImageRecord, ...]

    def image_path(self, record: ImageRecord) -> Path:
        """The image's file."""
        return self.images_dir / record.file_name

    def label_path(self, record: ImageRecord) -> Path:
        """The image's panoptic PNG."""
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
        images = tuple(by_id[image_id] for image_id in wanted)
        return LabelledSet(self.images_dir, self.labels_dir, self.categories, images)
