"""Slow, thorough reader of a panoptic annotation file that reports all mistakes at once, with the offending values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaseg_cli.data.mistakes import Mistakes
from scaseg_cli.data.other_formats import check_is_panoptic
from scaseg_cli.data.records import MAX_SEGMENT_ID, Category, ImageRecord, LabelledSet, Segment
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import can_be_named, inside, read_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_HINT = "Fix or regenerate the annotation file; it must be in COCO's panoptic format."
_NUMBERS = {int, float}
_IMAGE_KEYS = {"id": int, "file_name": str, "width": int, "height": int}
_ANNOTATION_KEYS = {"image_id": int, "file_name": str, "segments_info": list}
_SEGMENT_KEYS = ("id", "category_id", "area", "bbox", "iscrowd")


def read_closely(path: Path, images_dir: Path, labels_dir: Path) -> LabelledSet:
    """Read one annotation file and check each value by itself; slow, but able to say what is wrong.

    Args:
        path: the annotation file.
        images_dir: the folder of the images; image names must not lead outside it.
        labels_dir: the same for the label names.

    Raises:
        ScasegError: the file is missing or truncated, or it breaks a rule of the format.
    """
    content = _read_top_level(path)
    mistakes = Mistakes(f"the annotation file {path}")
    categories = read_categories(content["categories"], mistakes)
    mistakes.stop_if_any(_HINT)
    annotations = _read_annotations(content.pop("annotations"), {c.id for c in categories}, mistakes)
    panoptic_set = LabelledSet(images_dir, labels_dir, categories, ())
    images = _read_images(content.pop("images"), annotations, panoptic_set, mistakes)
    mistakes.stop_if_any(_HINT)
    return LabelledSet(images_dir, labels_dir, categories, images)


def are_plain(names: Sequence[str]) -> bool:
    """Whether all of these file names clearly stay in their folder, so that no path has to be resolved."""
    text = "".join(names)
    return all(names) and "/" not in text and "\\" not in text and ".." not in names and can_be_named(names)


def _read_top_level(path: Path) -> dict[str, Any]:
    content = read_json(path, "the annotation file")
    if not isinstance(content, dict):
        raise ScasegError(f"the annotation file {path} contains {_kind(content)}, not a mapping", _HINT)
    check_is_panoptic(path, content)
    mistakes = Mistakes(f"the annotation file {path}")
    for key in ("images", "annotations", "categories"):
        if key not in content:
            mistakes.add(f"the key {key!r} is missing")
        elif not isinstance(content[key], list):
            mistakes.add(f"{key!r} is {_kind(content[key])}, not a list")
    mistakes.stop_if_any(_HINT)
    return content


def _kind(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _problem(item: Any, keys: dict[str, type]) -> str | None:
    """Describe a missing key or a value of the wrong type in one mapping of the file; None if there is none."""
    if type(item) is not dict:
        return f"it is {_kind(item)}, not a mapping"
    for key, kind in keys.items():
        if key not in item:
            return f"the key {key!r} is missing"
        if type(item[key]) is not kind:
            wanted = {int: "a whole number", str: "text", list: "a list"}[kind]
            return f"{key} is {item[key]!r:.80}, not {wanted}"
    return None


def read_categories(items: list[Any], mistakes: Mistakes) -> tuple[Category, ...]:
    """Read the categories of an annotation file and add what is wrong with them to ``mistakes``."""
    ids: set[int] = set()
    names: set[str] = set()
    categories = []
    for position, item in enumerate(items):
        problem = _problem(item, {"id": int, "name": str})
        if problem is None and "isthing" not in item:
            problem = "the key 'isthing' is missing"
        elif problem is None and item["isthing"] not in (0, 1):
            problem = f"isthing is {item['isthing']!r:.80}, not 0 or 1"
        if problem is not None:
            mistakes.add(f"categories[{position}]: {problem}")
            continue
        if item["id"] in ids:
            mistakes.add(f"category id {item['id']} occurs twice")
        if item["name"] in names:
            mistakes.add(f"category name {item['name']!r:.80} occurs twice")
        ids.add(item["id"])
        names.add(item["name"])
        categories.append(Category(item["id"], item["name"], bool(item["isthing"]), _colour(item.get("color"))))
    if not items:
        mistakes.add("'categories' is empty")
    return tuple(categories)


def _colour(value: Any) -> tuple[int, int, int] | None:
    """The colour of a category, which is optional; None for anything but three bytes."""
    if not isinstance(value, list) or len(value) != 3:
        return None
    red, green, blue = value
    return (red, green, blue) if all(type(part) is int and 0 <= part <= 255 for part in value) else None


def _read_annotations(
    items: list[Any], category_ids: set[int], mistakes: Mistakes
) -> dict[int, tuple[str, tuple[Segment, ...]]]:
    """Label file name and segments by image id. Clears ``items`` on the way to save memory."""
    found: dict[int, tuple[str, tuple[Segment, ...]]] = {}
    for position, item in enumerate(items):
        items[position] = None
        problem = _problem(item, _ANNOTATION_KEYS)
        if problem is not None:
            mistakes.add(f"annotations[{position}]: {problem}")
            continue
        image_id = item["image_id"]
        if image_id in found:
            mistakes.add(f"image {image_id} has two annotations")
        segments = _read_segments(item["segments_info"], category_ids, image_id, mistakes)
        found[image_id] = (item["file_name"], segments)
    return found


def _read_segments(items: list[Any], category_ids: set[int], image_id: int, mistakes: Mistakes) -> tuple[Segment, ...]:
    segments = []
    ids: set[int] = set()
    for item in items:
        # Fast path: only a segment that fails it is examined closely.
        try:
            segment_id, category_id, area, bbox, iscrowd = [item[key] for key in _SEGMENT_KEYS]
            right = (
                type(segment_id) is int
                and 0 < segment_id <= MAX_SEGMENT_ID
                and segment_id not in ids
                and type(category_id) is int
                and category_id in category_ids
                and type(area) in _NUMBERS
                and type(bbox) is list
                and len(bbox) == 4
                and _NUMBERS.issuperset(map(type, bbox))
                and (iscrowd == 0 or iscrowd == 1)
            )
        except (KeyError, TypeError):
            right = False
        if not right:
            mistakes.add(f"image {image_id}: {_segment_problem(item, category_ids, ids)}")
            continue
        ids.add(segment_id)
        segments.append(Segment(segment_id, category_id, area, tuple(bbox), int(iscrowd)))
    return tuple(segments)


def _segment_problem(item: Any, category_ids: set[int], ids: set[int]) -> str:
    """Say why one segment of ``segments_info`` is rejected."""
    problem = _problem(item, {"id": int, "category_id": int, "bbox": list})
    if problem is None:
        problem = next((f"the key {key!r} is missing" for key in _SEGMENT_KEYS if key not in item), None)
    if problem is not None:
        segment_id = item.get("id") if isinstance(item, dict) else None
        return f"segment {segment_id!r:.80}: {problem}" if segment_id is not None else f"a segment: {problem}"
    segment_id, category_id = item["id"], item["category_id"]
    if not 0 < segment_id <= MAX_SEGMENT_ID:
        return f"segment id {segment_id} is not in 1..{MAX_SEGMENT_ID} (0 is void)"
    if segment_id in ids:
        return f"segment id {segment_id} occurs twice"
    if category_id not in category_ids:
        return f"segment {segment_id} has category_id {category_id}, which is not among the categories"
    if type(item["area"]) not in _NUMBERS:
        return f"segment {segment_id}: area is {item['area']!r:.80}, not a number"
    if len(item["bbox"]) != 4 or not _NUMBERS.issuperset(map(type, item["bbox"])):
        return f"segment {segment_id}: bbox is {item['bbox']!r:.80}, not four numbers"
    return f"segment {segment_id}: iscrowd is {item['iscrowd']!r:.80}, not 0 or 1"


def _read_images(
    items: list[Any],
    annotations: dict[int, tuple[str, tuple[Segment, ...]]],
    panoptic_set: LabelledSet,
    mistakes: Mistakes,
) -> tuple[ImageRecord, ...]:
    images: dict[int, ImageRecord] = {}
    for position, item in enumerate(items):
        problem = _problem(item, _IMAGE_KEYS)
        if problem is not None:
            mistakes.add(f"images[{position}]: {problem}")
            continue
        image_id, width, height = item["id"], item["width"], item["height"]
        if image_id in images:
            mistakes.add(f"image id {image_id} occurs twice")
            continue
        if width < 1 or height < 1:
            mistakes.add(f"image {image_id} is {width} x {height} pixels")
        label_name, segments = annotations.get(image_id, ("", ()))
        if image_id not in annotations:
            mistakes.add(f"image {image_id} ({item['file_name']}) has no annotation")
        else:
            _check_name(panoptic_set.labels_dir, label_name, f"the annotation of image {image_id}", mistakes)
        _check_name(panoptic_set.images_dir, item["file_name"], f"image {image_id}", mistakes)
        images[image_id] = ImageRecord(image_id, item["file_name"], label_name, width, height, segments)
    for image_id in annotations.keys() - images.keys() if len(annotations) != len(images) else ():
        mistakes.add(f"an annotation is for image {image_id}, which is not among the images")
    return tuple(images.values())


def _check_name(folder: Path, name: str, what: str, mistakes: Mistakes) -> None:
    if are_plain([name]):
        return
    try:
        inside(folder, name, what)
    except ScasegError as error:
        mistakes.add(error.message)
