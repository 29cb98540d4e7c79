"""Reads COCO's panoptic JSON, with every check that needs no pixels.

COCO's training annotations have 1.3 million segments. msgspec checks the types while it parses and builds the segments
directly, which leaves few checks per image. A file that this fast reader does not accept is read again by
`annotation_mistakes.read_closely`, which decides and says what is wrong. The fast reader may therefore reject a valid
file, but it must never accept an invalid one.
"""

from __future__ import annotations

import difflib
import gc
from codecs import BOM_UTF8
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from mmap import ACCESS_READ, mmap
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated

import msgspec
import numpy as np
import orjson

from scaseg_cli.data.annotation_mistakes import are_plain, read_categories, read_closely
from scaseg_cli.data.class_names import names_in
from scaseg_cli.data.mistakes import Mistakes
from scaseg_cli.data.records import MAX_SEGMENT_ID, Category, Findings, ImageRecord, LabelledSet, Segment
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from scaseg_cli.recipe.data_section import ImageSet

_WholeNumber = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # the limit of the thorough reader
_ID, _CATEGORY_ID = attrgetter("id"), attrgetter("category_id")
_Pixels = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


class _Image(msgspec.Struct, gc=False):
    id: _WholeNumber | str
    file_name: str
    width: _Pixels
    height: _Pixels


class _Annotation(msgspec.Struct, gc=False):
    image_id: _WholeNumber | str
    file_name: str
    segments_info: tuple[Segment, ...]


class _File(msgspec.Struct, gc=False):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: msgspec.Raw


def read_panoptic_set(root: Path, where: ImageSet, things: Sequence[str] | None = None) -> LabelledSet:
    """Read the images of one annotation file that have an annotation, in the file's order.

    `check_files` checks that the image and label files exist; `read_label` checks what they contain.

    Args:
        root: the folder that ``where`` is relative to.
        where: the annotation file and the folders of images and labels.
        things: names of the classes that are things, in place of what the file says.

    Raises:
        ScasegError: the file is missing or truncated, or it breaks a rule of the format; names the offending values.
    """
    assert where.annotations is not None  # checked by the recipe
    labelled = read_panoptic_files(root / where.annotations, root / where.images, root / where.labels)
    return labelled if things is None else replace(labelled, categories=_with_things(labelled.categories, things))


def _with_things(categories: tuple[Category, ...], things: Sequence[str]) -> tuple[Category, ...]:
    """The categories, of which exactly those in ``things`` are things; any one of a class's names will do."""
    named = {name: category.name for category in categories for name in (*names_in(category.name), category.name)}
    unknown = [name for name in things if name not in named]
    if unknown:
        near = difflib.get_close_matches(unknown[0], list(named), n=3)
        hint = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
        raise ScasegError(
            f"data.things names {', '.join(map(repr, unknown[:5]))}, which the data lacks",
            f"{hint}Spell the names as in the categories of the annotation file.",
        )
    wanted = {named[name] for name in things}
    return tuple(replace(category, isthing=category.name in wanted) for category in categories)


def read_panoptic_files(path: Path, images_dir: Path, labels_dir: Path) -> LabelledSet:
    """`read_panoptic_set` for files that no recipe names.

    Raises:
        ScasegError: as `read_panoptic_set` does.
    """
    with without_garbage_collection():
        found = _read_quickly(path)
        if found is None:
            return read_closely(path, images_dir, labels_dir)
    categories, images, findings = found
    return LabelledSet(images_dir, labels_dir, categories, images, findings=findings)


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Switch the collector off while millions of permanent objects are made, and exempt them from later scans."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


def _read_quickly(path: Path) -> tuple[tuple[Category, ...], tuple[ImageRecord, ...], Findings] | None:
    """The categories and images of an annotation file, and what is left out; None if a thorough reading is needed."""
    try:
        with open(path, "rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as text:  # no copy in memory
            start = len(BOM_UTF8) if text[: len(BOM_UTF8)] == BOM_UTF8 else 0
            content = msgspec.json.decode(memoryview(text)[start:], type=_File)
            categories = _categories(orjson.loads(memoryview(content.categories)))
            content.categories = msgspec.Raw()  # releases the file
    except (OSError, msgspec.MsgspecError, RecursionError, ValueError):
        return None  # the thorough reader meets the same problem and reports it
    if categories is None or not _segments_are_right(content.annotations, {category.id for category in categories}):
        return None
    joined = _joined(content.images, content.annotations)
    return None if joined is None else (categories, *joined)


def _categories(items: object) -> tuple[Category, ...] | None:
    if not isinstance(items, list):
        return None
    mistakes = Mistakes("")
    categories = read_categories(items, mistakes)
    return None if mistakes.count else categories


def _segments_are_right(annotations: list[_Annotation], category_ids: set[int]) -> bool:
    """Whether segment ids are unique within each image and all categories are known."""
    segments = [annotation.segments_info for annotation in annotations]
    counts = np.fromiter(map(len, segments), np.int64, len(segments))
    ids = np.fromiter(map(_ID, chain.from_iterable(segments)), np.int64, int(counts.sum()))
    ids += np.repeat(np.arange(len(counts)) * (MAX_SEGMENT_ID + 1), counts)  # equal only within one image
    ids.sort()
    known = category_ids.issuperset(map(_CATEGORY_ID, chain.from_iterable(segments)))
    return known and not (ids[1:] == ids[:-1]).any()


def _joined(images: list[_Image], annotations: list[_Annotation]) -> tuple[tuple[ImageRecord, ...], Findings] | None:
    """Each image with its annotation, and those that lack the other; None if an id is repeated or a name not plain."""
    by_image = {annotation.image_id: annotation for annotation in annotations}
    ids = {image.id for image in images}
    if len(annotations) != len(by_image) or len(images) != len(ids):
        return None
    records = tuple(
        ImageRecord(image.id, image.file_name, label.file_name, image.width, image.height, label.segments_info)
        for image in images
        if (label := by_image.get(image.id)) is not None
    )
    unlabelled = tuple(image.file_name for image in images if image.id not in by_image)
    imageless = tuple(annotation.file_name for annotation in annotations if annotation.image_id not in ids)
    names = [name for record in records for name in (record.file_name, record.label_name)]
    if not are_plain([*names, *unlabelled, *imageless]) or not records:
        return None
    return records, Findings(len(records), unlabelled, imageless)
