"""Reading COCO's panoptic JSON, with every check that needs no pixels.

COCO's training annotations are 1.3 million segments. msgspec checks the types while it parses, and makes segments at
once; what is left to check takes a glance at each image. Whatever this quick reading does not find in order is read
again by `annotation_mistakes.read_closely`, which decides and says what is wrong. So the quick reading may refuse
too much, and must never accept too much.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from mmap import ACCESS_READ, mmap
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated

import msgspec
import orjson

from scaseg_cli.data.annotation_mistakes import are_plain, read_categories, read_closely
from scaseg_cli.data.mistakes import Mistakes
from scaseg_cli.data.records import Category, ImageRecord, LabelledSet, Segment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scaseg_cli.recipe.schema import ImageSet

_WholeNumber = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # the close reading knows no larger ones
_ID, _CATEGORY_ID = attrgetter("id"), attrgetter("category_id")
_Pixels = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


class _Image(msgspec.Struct, gc=False):
    id: _WholeNumber
    file_name: str
    width: _Pixels
    height: _Pixels


class _Annotation(msgspec.Struct, gc=False):
    image_id: _WholeNumber
    file_name: str
    segments_info: tuple[Segment, ...]


class _File(msgspec.Struct, gc=False):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: msgspec.Raw


def read_panoptic_set(root: Path, where: ImageSet) -> LabelledSet:
    """The images of one annotation file, in the file's order.

    Whether the image and label files are there is `check_files`' question, what is in them `read_label`'s.

    Args:
        root: the folder that ``where`` is relative to.
        where: the annotation file and the folders of images and labels.

    Raises:
        ScasegError: the file is missing, cut short, or breaks a rule of the format; with the values at fault.
    """
    assert where.annotations is not None  # the recipe's own check sees to it
    path, images_dir, labels_dir = root / where.annotations, root / where.images, root / where.labels
    with _without_garbage_collection():
        found = _read_quickly(path)
        if found is None:
            return read_closely(path, images_dir, labels_dir)
    return LabelledSet(images_dir, labels_dir, *found)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Millions of objects that all stay: looking for garbage among them, now or later, only costs time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


def _read_quickly(path: Path) -> tuple[tuple[Category, ...], tuple[ImageRecord, ...]] | None:
    """The categories and images of an annotation file; None: it needs a closer look."""
    try:
        with open(path, "rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as text:  # no copy of it in memory
            content = msgspec.json.decode(text, type=_File)
            categories = _categories(orjson.loads(memoryview(content.categories)))
            content.categories = msgspec.Raw()  # lets go of the file
    except (OSError, msgspec.MsgspecError, RecursionError, ValueError):
        return None  # the close reading meets the same, and has words for it
    if categories is None or not _segments_are_right(content.annotations, {category.id for category in categories}):
        return None
    images = _joined(content.images, content.annotations)
    return None if images is None else (categories, images)


def _categories(items: object) -> tuple[Category, ...] | None:
    if not isinstance(items, list):
        return None
    mistakes = Mistakes("")
    categories = read_categories(items, mistakes)
    return None if mistakes.count else categories


def _segments_are_right(annotations: list[_Annotation], category_ids: set[int]) -> bool:
    """Whether no segment id stands twice in an image, and all categories are known."""
    for annotation in annotations:
        segments = annotation.segments_info
        if len(set(map(_ID, segments))) != len(segments) or not category_ids.issuperset(map(_CATEGORY_ID, segments)):
            return False
    return True


def _joined(images: list[_Image], annotations: list[_Annotation]) -> tuple[ImageRecord, ...] | None:
    """Each image with its annotation; None: they do not belong together, or a name is not a plain one."""
    by_image = {annotation.image_id: annotation for annotation in annotations}
    ids = {image.id for image in images}
    if not len(annotations) == len(images) == len(ids) or by_image.keys() != ids:
        return None
    records = [
        ImageRecord(image.id, image.file_name, label.file_name, image.width, image.height, label.segments_info)
        for image, label in zip(images, [by_image[image.id] for image in images], strict=True)
    ]
    names = [name for record in records for name in (record.file_name, record.label_name)]
    return tuple(records) if are_plain(names) else None
