"""Sets of label maps: found by file name, scanned once, and read from an index afterwards.

The index lists each image with its label map, its size, the pixel count of each class, and a digest of the label's
pixels. Stages after the split read the index instead of the folders, so files added later change nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from scaseg_cli.data.class_lists import COCO_STUFF, coco_stuff_raw_values, read_class_list
from scaseg_cli.data.label_maps import segments_of
from scaseg_cli.data.map_colours import ColourTable, read_colours
from scaseg_cli.data.map_pairs import Pair, pair_files
from scaseg_cli.data.map_scan import MapContent, scan_label_maps
from scaseg_cli.data.mistakes import Mistakes
from scaseg_cli.data.records import MAX_MAP_VALUE, VOID, Category, Findings, ImageId, ImageRecord, LabelledSet, Segment
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import can_be_named, write_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaseg_cli.recipe.data_section import ImageSet


def scan_semantic_set(
    root: Path,
    where: ImageSet,
    classes: str,
    part: str,
    ignored: Sequence[int] = (),
    colours: str | None = None,
    turned: bool = False,
) -> LabelledSet:
    """Read every label map of two folders; return the images with their classes, in the order of their names.

    COCO-Stuff labels are either maps of contiguous ids, NAME_labelTrainIds.png, or COCO-Stuff's own maps, NAME.png,
    which are read through a lookup table.

    Args:
        root: the folder that ``where``, ``classes`` and ``colours`` are relative to.
        where: the folders of images and label maps.
        classes: ``coco-stuff``, or a JSON list of classes.
        part: the part of the data, for the progress bar.
        ignored: values that are no class; a class with such a value is left out.
        colours: a table of colours, for maps painted in colours.
        turned: whether images are turned by their EXIF orientation.

    Raises:
        ScasegError: no image has a label map; label maps are damaged, differ in size from their image, or have values
            or colours that are not a class. Counts all bad label maps and names the first few.
    """
    categories = read_class_list(root, classes)
    images_dir, labels_dir = root / where.images, root / where.labels
    found = pair_files(root, where)
    ignored_classes: tuple[str, ...] = ()
    if colours is not None:
        table = read_colours(root / colours, {category.name: category.id for category in categories})
        empty = LabelledSet(images_dir, labels_dir, categories, (), (), colours=table, turned=turned)
    else:
        is_raw = classes == COCO_STUFF and not found.are_train_ids
        values = coco_stuff_raw_values() if is_raw else tuple(category.id for category in categories)
        ignored_classes = tuple(item.name for item, value in zip(categories, values, strict=True) if value in ignored)
        kept = [pair for pair in zip(categories, values, strict=True) if pair[1] not in ignored]
        categories, values = tuple(item for item, _ in kept), tuple(value for _, value in kept)
        if not categories:
            raise ScasegError(
                f"data.ignored leaves no class of data.categories: it has the values of {', '.join(ignored_classes)}",
                "Leave values of classes out of data.ignored.",
            )
        empty = LabelledSet(images_dir, labels_dir, categories, (), values, tuple(ignored), turned=turned)
    contents = scan_label_maps(empty, found.pairs, f"Scanning the label maps of {part}")
    records, without_class = _records(empty, found.pairs, contents)
    return replace(
        empty,
        images=records,
        findings=Findings(
            len(records), found.unlabelled, found.imageless, found.unknown, without_class, ignored_classes
        ),
    )


def _records(
    empty: LabelledSet, pairs: Sequence[Pair], contents: Sequence[MapContent | ScasegError]
) -> tuple[tuple[ImageRecord, ...], dict[ImageId, dict[int, int]]]:
    """The images, and of each the values that are no class with their number of pixels."""
    records: list[ImageRecord] = []
    errors: list[ScasegError] = []
    without_class: dict[ImageId, dict[int, int]] = {}
    void = frozenset((empty.segment_ids == VOID).nonzero()[0].tolist())
    for image_id, pair, content in zip(_image_ids(pairs), pairs, contents, strict=True):
        if isinstance(content, ScasegError):
            errors.append(content)
            continue
        try:
            size = (content.width, content.height)
            segments = segments_of(content.counts, empty, empty.labels_dir / pair.label)
        except ScasegError as error:
            errors.append(error)
            continue
        records.append(ImageRecord(image_id, pair.image, pair.label, *size, segments, content.digest))
        without_class[image_id] = {value: count for value, count in content.counts.items() if value in void}
    if len(errors) == 1:
        raise errors[0]
    mistakes = Mistakes(f"the folder of label maps {empty.labels_dir}")
    for wrong in errors:
        mistakes.add(wrong.message)
    mistakes.stop_if_any(errors[0].hint or "" if errors else "")
    return tuple(records), without_class


def _image_ids(pairs: Sequence[Pair]) -> list[int]:
    """The image names as numbers if all are distinct whole numbers, as in COCO; otherwise their positions."""
    stems = [PurePosixPath(pair.image).stem for pair in pairs]
    numbers = [int(stem) for stem in stems if stem.isascii() and stem.isdecimal()]
    return numbers if len(set(numbers)) == len(stems) else list(range(len(stems)))


_Value = Annotated[int, msgspec.Meta(ge=0, le=MAX_MAP_VALUE)]
_Byte = Annotated[int, msgspec.Meta(ge=0, le=255)]
_Pixels = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


class _Class(msgspec.Struct):
    id: _Value
    name: str
    isthing: bool
    color: tuple[_Byte, _Byte, _Byte] | None
    value: _Value | None  # None: the maps are painted in colours


class _Image(msgspec.Struct):
    image_id: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | str
    file_name: str
    label_name: str
    width: _Pixels
    height: _Pixels
    pixels: dict[int, _Pixels]
    digest: str | None = None


class _Colour(msgspec.Struct):
    color: tuple[_Byte, _Byte, _Byte]
    name: str
    category_id: _Value | None


class _Index(msgspec.Struct):
    classes: list[_Class]
    images: list[_Image]
    ignored: tuple[_Value, ...] = ()
    colours: list[_Colour] | None = None


def write_index(path: Path, labelled: LabelledSet) -> None:
    """Write the index of ``labelled`` as JSON: one line per class, with its label map value, and one line per image.

    Values that are no class and the table of colours are in it where there are any.
    """
    assert labelled.map_values is not None
    values = labelled.map_values or (None,) * len(labelled.categories)
    classes = [
        _Class(category.id, category.name, category.isthing, category.colour, value)
        for category, value in zip(labelled.categories, values, strict=True)
    ]
    parts: dict[str, list[Any]] = {"classes": classes}
    if labelled.ignored:
        parts["ignored"] = list(labelled.ignored)
    if labelled.colours is not None:
        table = labelled.colours
        parts["colours"] = [
            _Colour(*entry) for entry in zip(table.colours, table.names, table.category_ids, strict=True)
        ]
    parts["images"] = [
        _Image(
            record.image_id,
            record.file_name,
            record.label_name,
            record.width,
            record.height,
            {segment.category_id: int(segment.area or 0) for segment in record.segments},
            record.label_digest,
        )
        for record in labelled.images
    ]
    encode = msgspec.json.Encoder().encode
    lines = {key: ",\n".join(encode(item).decode() for item in items) for key, items in parts.items()}
    write_text(path, "{" + ",\n".join(f'"{key}": [\n{text}\n]' for key, text in lines.items()) + "}\n")


def read_index(path: Path, root: Path, where: ImageSet) -> LabelledSet:
    """Read the set that `write_index` wrote; its folders are below ``root``.

    Raises:
        ScasegError: the index is missing or invalid.
    """
    split_again = "Run `scaseg split-dataset` with this recipe (`scaseg run` does all in order)."
    if not path.is_file():
        raise ScasegError(f"{path} does not exist: the data has not been split", split_again)
    try:
        index = msgspec.json.decode(path.read_bytes(), type=_Index)
        _check_index(index)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise ScasegError(f"{path} is not an index of label maps: {error}", split_again) from error
    table = index.colours
    return LabelledSet(
        root / where.images,
        root / where.labels,
        tuple(Category(item.id, item.name, item.isthing, item.color) for item in index.classes),
        tuple(_record(image) for image in index.images),
        tuple(item.value for item in index.classes if item.value is not None),
        index.ignored,
        ColourTable(*zip(*((item.color, item.name, item.category_id) for item in table), strict=True))
        if table
        else None,
    )


def _check_index(index: _Index) -> None:
    ids = {item.id for item in index.classes}
    if len(ids) != len(index.classes):
        raise ValueError("a class id occurs twice")
    for image in index.images:
        if not image.pixels.keys() <= ids:
            raise ValueError(f"image {image.image_id} has pixels of a class that is not in the list")
    names = [name for image in index.images for name in (image.file_name, image.label_name)]
    if not can_be_named(names) or any(Path(name).is_absolute() or ".." in Path(name).parts for name in names):
        raise ValueError("a file name leads out of its folder, or cannot be a file name")


def _record(image: _Image) -> ImageRecord:
    segments = tuple(Segment(category_id + 1, category_id, pixels, 0) for category_id, pixels in image.pixels.items())
    size = (image.width, image.height)
    return ImageRecord(image.image_id, image.file_name, image.label_name, *size, segments, image.digest)


def ignored_pixels(labelled: LabelledSet, category_ids: frozenset[int]) -> tuple[int, int]:
    """Count the pixels of the set that belong to no class or to one of ``category_ids``, and all pixels."""
    areas: Counter[int] = Counter()
    for record in labelled.images:
        for segment in record.segments:
            areas[segment.category_id] += int(segment.area or 0)
    total = sum(record.width * record.height for record in labelled.images)
    return total - sum(area for category_id, area in areas.items() if category_id not in category_ids), total
