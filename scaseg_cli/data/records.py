"""The parts of a set of labelled images: categories, segments and image records.

The types serve both kinds of labels. Panoptic labels have one segment per object. A label map, with one class id per
pixel, gets one segment per class, so code that works on segments need not know the kind of labels.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated

import msgspec
import numpy as np

from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from scaseg_cli.data.map_colours import ColourTable

ImageId = int | str  # COCO's are numbers, Cityscapes' and ADE20K's are text
VOID = 0  # the segment id of pixels that belong to no segment
MAX_SEGMENT_ID = 256**3 - 1  # in a panoptic PNG
IGNORED = 255  # value of pixels without a class in a label map
MAX_MAP_VALUE = 65_535  # in a label map of 16 bits per pixel
_CATEGORY_ID = attrgetter("category_id")
ALWAYS_IGNORED = (IGNORED, MAX_MAP_VALUE)  # values that are never a class


@dataclass(frozen=True, slots=True)
class Category:
    """A class of the dataset; ``id`` is the dataset's own category_id.

    ``colour`` is the RGB colour for drawings, if the data has one; it is ignored when categories are compared.
    """

    id: int
    name: str
    isthing: bool
    colour: tuple[int, int, int] | None = field(default=None, compare=False)


def ids_in_order(image_ids: Iterable[ImageId]) -> list[ImageId]:
    """Sort image ids: numbers by value, then text."""
    return sorted(image_ids, key=lambda image_id: (isinstance(image_id, str), image_id))


class Segment(msgspec.Struct, frozen=True, gc=False):
    """One segment of one image. msgspec builds it directly from an annotation file: COCO has 1.3 million of them.

    A file's bounding boxes are not read: nothing here uses them, and they would be half of the memory.

    Attributes:
        id: the value of its pixels in the label, never 0 and unique in the image; category_id + 1 for a label map.
        category_id: the dataset's own id.
        area: size in pixels; None where the annotation file does not say.
        iscrowd: 1 for a region of several instances that are not annotated separately.
    """

    id: Annotated[int, msgspec.Meta(ge=1, le=MAX_SEGMENT_ID)]
    category_id: int
    area: int | float | None = None
    iscrowd: Annotated[int, msgspec.Meta(ge=0, le=1)] = 0


class ImageRecord(msgspec.Struct, frozen=True, gc=False):
    """One image and its segments; width and height in pixels.

    ``label_digest`` is that of a label map's pixels; panoptic PNGs have none.
    """

    image_id: ImageId
    file_name: str
    label_name: str
    width: int
    height: int
    segments: tuple[Segment, ...]
    label_digest: str | None = None


@dataclass(frozen=True)
class Findings:
    """What reading a set showed besides its images, for the table of the split.

    Attributes:
        num_labelled: images with a label that were read.
        unlabelled: images that were left out because they have no label.
        imageless: labels that were left out because they have no image.
        unknown: names in a list of images that no file has.
        without_class: for label maps, the pixels of each value that is no class, by image id.
        ignored_classes: for label maps, the listed classes that were left out because their value is ignored.
    """

    num_labelled: int = 0
    unlabelled: tuple[str, ...] = ()
    imageless: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    without_class: Mapping[ImageId, Mapping[int, int]] = field(default_factory=dict)
    ignored_classes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class SegmentClasses:
    """The category ids of the segments of N images, as arrays, which count 1.3 million segments quickly.

    Attributes:
        category_ids: of the S segments, image after image, int64 [S].
        places: the place of each segment's image in the set, int64 [S].
        num_images: N.
    """

    category_ids: NDArray[np.int64]
    places: NDArray[np.int64]
    num_images: int

    @classmethod
    def of(cls, images: Sequence[ImageRecord]) -> SegmentClasses:
        """Collect them from the records."""
        segments = [record.segments for record in images]
        places = np.repeat(np.arange(len(segments)), np.fromiter(map(len, segments), np.int64, len(segments)))
        ids = np.fromiter(map(_CATEGORY_ID, chain.from_iterable(segments)), np.int64, len(places))
        return cls(ids, places, len(segments))

    def images_with(self, category_ids: Iterable[int], other: bool = False) -> NDArray[np.bool_]:
        """Whether each image has a segment of one of these classes, or with ``other`` of any other class, bool [N]."""
        found = np.isin(self.category_ids, np.array([*category_ids], dtype=np.int64), invert=other)
        return np.bincount(self.places[found], minlength=self.num_images) > 0

    def counts(self) -> Counter[int]:
        """The number of segments of each class."""
        ids, counts = np.unique(self.category_ids, return_counts=True)
        return Counter(dict(zip(ids.tolist(), counts.tolist(), strict=True)))

    def images_with_several(self, category_ids: Iterable[int]) -> Counter[int]:
        """For each of these classes, the number of images that have more than one segment of it."""
        classes = np.unique(np.array([*category_ids], dtype=np.int64))
        among = np.isin(self.category_ids, classes)
        pairs = self.places[among] * len(classes) + np.searchsorted(classes, self.category_ids[among])
        found, counts = np.unique(pairs, return_counts=True)
        several = classes[found[counts > 1] % max(len(classes), 1)]
        return Counter(several.tolist())


@dataclass(frozen=True)
class LabelledSet:
    """Images with labels, and the folders that contain them.

    Attributes:
        images_dir: the images' folder.
        labels_dir: the folder of the label PNGs.
        categories: the categories of the data.
        images: one record per image.
        map_values: for label maps, the pixel value of each category; None for panoptic PNGs.
        ignored: for label maps, the values that are no class, besides `ALWAYS_IGNORED`.
        colours: for label maps painted in colours, their table; ``map_values`` is then empty.
        turned: whether images are turned by their EXIF orientation.
        findings: what reading the set showed besides its images.
    """

    images_dir: Path
    labels_dir: Path
    categories: tuple[Category, ...]
    images: tuple[ImageRecord, ...]
    map_values: tuple[int, ...] | None = None
    ignored: tuple[int, ...] = ()
    colours: ColourTable | None = None
    turned: bool = False
    findings: Findings = field(default=Findings(), compare=False)

    @cached_property
    def segment_ids(self) -> NDArray[np.int32]:
        """The segment id of each possible label map value, int32 [65536]; -1 for values that are not a class."""
        assert self.map_values is not None  # panoptic PNGs contain the segment ids
        table = np.full(MAX_MAP_VALUE + 1, -1, dtype=np.int32)
        if self.colours is not None:
            table[: len(self.colours.category_ids)] = [
                VOID if category_id is None else category_id + 1 for category_id in self.colours.category_ids
            ]
            return table
        table[list(self.map_values)] = [category.id + 1 for category in self.categories]
        table[[*self.ignored, *ALWAYS_IGNORED]] = VOID
        return table

    @cached_property
    def segment_classes(self) -> SegmentClasses:
        """The category ids of all segments, as arrays."""
        return SegmentClasses.of(self.images)

    def image_path(self, record: ImageRecord) -> Path:
        """Path of the image file."""
        return self.images_dir / record.file_name

    def label_path(self, record: ImageRecord) -> Path:
        """Path of the label PNG."""
        return self.labels_dir / record.label_name

    def only(self, image_ids: Iterable[ImageId]) -> LabelledSet:
        """The same set restricted to these images, in the given order.

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
