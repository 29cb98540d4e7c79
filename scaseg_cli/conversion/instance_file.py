"""Reads COCO's instance annotations: one outline or run-length mask per object."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated

import msgspec

from scaseg_cli.conversion.outlines import MAX_PIXELS, Outline, problem_of
from scaseg_cli.data.mistakes import Mistakes
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import inside

if TYPE_CHECKING:
    from pathlib import Path

if TYPE_CHECKING:
    _Whole = int
    _Size = int
else:  # a whole number may be written 3.0; `__post_init__` makes it an int
    _Whole = int | Annotated[float, msgspec.Meta(multiple_of=1)]
    _Size = Annotated[int, msgspec.Meta(ge=1)] | Annotated[float, msgspec.Meta(ge=1, multiple_of=1)]
_HINT = "Give COCO's instance format: images, categories, and annotations with a segmentation each."


class Instance(msgspec.Struct, gc=False):
    """One annotated object; ``segmentation`` has polygons (x, y, x, y, ...) or run lengths."""

    image_id: _Whole | str
    category_id: _Whole
    segmentation: Outline | None = None
    iscrowd: _Whole = 0
    id: _Whole | str | None = None

    def __post_init__(self) -> None:
        self.image_id, self.category_id, self.iscrowd = _id(self.image_id), int(self.category_id), int(self.iscrowd)


class InstanceImage(msgspec.Struct, gc=False):
    """One image."""

    id: _Whole | str
    file_name: str
    width: _Size
    height: _Size

    def __post_init__(self) -> None:
        self.id, self.width, self.height = _id(self.id), int(self.width), int(self.height)

    @property
    def label_name(self) -> str:
        """File name of its panoptic PNG, in the same subfolder."""
        return str(PurePosixPath(self.file_name).with_suffix(".png"))


class InstanceCategory(msgspec.Struct, gc=False):
    """One class."""

    id: _Whole
    name: str
    supercategory: str | None = None

    def __post_init__(self) -> None:
        self.id = int(self.id)


class _File(msgspec.Struct, gc=False):
    images: list[InstanceImage]
    annotations: list[Instance]
    categories: list[InstanceCategory]


def _id(value: int | str) -> int | str:
    return value if isinstance(value, str) else int(value)


@dataclass(frozen=True)
class InstanceSet:
    """The content of one file.

    Attributes:
        images: in the file's order.
        categories: the classes.
        instances: of each image id, in the file's order; only those with an outline.
        num_without_outline: annotations that have a box alone.
    """

    images: list[InstanceImage]
    categories: list[InstanceCategory]
    instances: dict[int | str, list[Instance]]
    num_without_outline: int


def read_instances(path: Path) -> InstanceSet:
    """Read and check a file of COCO's instance format.

    ``iscrowd``, ``area`` and ``bbox`` may be missing, and ids may be text.

    Raises:
        ScasegError: the file cannot be read, is of another format, or its parts do not fit together; names the first
            mistakes and counts all.
    """
    what = f"the annotation file {path}"
    try:
        text = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise ScasegError(f"{what} cannot be read: {error.strerror}", "Check the path.") from error
    try:
        content = msgspec.json.decode(text, type=_File)
    except msgspec.MsgspecError as error:
        raise ScasegError(f"{what} is not in COCO's instance format: {error}", _HINT) from error
    except RecursionError as error:
        raise ScasegError(f"{what} is nested too deeply", _HINT) from error
    _check(path, content)
    instances: dict[int | str, list[Instance]] = defaultdict(list)
    for item in content.annotations:
        if item.segmentation:
            instances[item.image_id].append(item)
    outlined = sum(map(len, instances.values()))
    return InstanceSet(content.images, content.categories, dict(instances), len(content.annotations) - outlined)


def _check(path: Path, content: _File) -> None:
    mistakes = Mistakes(f"the annotation file {path}")
    labels = Counter(image.label_name for image in content.images)
    for image in content.images:
        inside(path.parent, image.file_name, f"image {image.id!r}")
        if image.width * image.height > MAX_PIXELS:
            mistakes.add(f"image {image.id!r} has {image.width} x {image.height} pixels, more than {MAX_PIXELS:,}")
        if labels[image.label_name] > 1:
            mistakes.add(f"several images would have the label {image.label_name}, among them {image.file_name}")
    for kind, ids in (
        ("image", [image.id for image in content.images]),
        ("category", [category.id for category in content.categories]),
    ):
        for number, count in Counter(ids).items():
            if count > 1:
                mistakes.add(f"{kind} id {number!r} occurs {count} times")
    images, categories = {image.id: image for image in content.images}, {item.id for item in content.categories}
    for position, item in enumerate(content.annotations):
        named = f"annotation {position if item.id is None else item.id}"
        if item.image_id not in images:
            mistakes.add(f"{named} is of image {item.image_id!r}, which is not in `images`")
        elif item.category_id not in categories:
            mistakes.add(f"{named} is of category {item.category_id}, which is not in `categories`")
        elif (problem := _problem(item, images[item.image_id])) is not None:
            mistakes.add(f"{named}, image {item.image_id!r}: {problem}")
    mistakes.stop_if_any(_HINT)


def _problem(item: Instance, image: InstanceImage) -> str | None:
    """What is wrong with an outline; None if nothing is."""
    if item.iscrowd not in (0, 1):
        return f"iscrowd is {item.iscrowd}, not 0 or 1"
    return problem_of(item.segmentation, image.width, image.height) if item.segmentation else None
