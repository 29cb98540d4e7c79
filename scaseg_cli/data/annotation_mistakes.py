"""Slow, thorough reader of a panoptic annotation file that reports all mistakes at once, with the offending values."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from scaseg_cli.data.mistakes import Mistakes
from scaseg_cli.data.other_formats import check_is_panoptic
from scaseg_cli.data.records import MAX_SEGMENT_ID, Category, Findings, ImageId, ImageRecord, LabelledSet, Segment
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import can_be_named, inside, read_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_HINT = "Fix or regenerate the annotation file; it must be in COCO's panoptic format."
_NUMBERS = {int, float}
_IMAGE_KEYS = {"id": ImageId, "file_name": str, "width": int, "height": int}
_ANNOTATION_KEYS = {"image_id": ImageId, "file_name": str, "segments_info": list}
_WANTED = {int: "a whole number", str: "text", list: "a list", ImageId: "a whole number or text"}
_EXACT = 2**53  # below it, a floating-point number is exactly the whole number that it shows


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
    images, findings = _read_images(content.pop("images"), annotations, panoptic_set, mistakes)
    mistakes.stop_if_any(_HINT)
    if not images and annotations:
        raise ScasegError(
            f"the annotation file {path}: none of its {len(findings.unlabelled)} images has an annotation; the first "
            f"annotation is for image {next(iter(annotations))!r:.80}",
            _HINT,
        )
    return replace(panoptic_set, images=images, findings=findings)


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


def _problem(item: Any, keys: Mapping[str, Any]) -> str | None:
    """Describe a missing key or a value of the wrong type in one mapping of the file; None if there is none.

    Whole numbers that are written as 3.0 become 3.
    """
    if type(item) is not dict:
        return f"it is {_kind(item)}, not a mapping"
    for key, kind in keys.items():
        if key not in item:
            return f"the key {key!r} is missing"
        value = item[key]
        if type(value) is float and kind in (int, ImageId) and value.is_integer() and abs(value) < _EXACT:
            value = item[key] = int(value)  # pandas writes whole numbers as 3.0
        if type(value) is not kind and not (kind is ImageId and type(value) in (int, str)):
            return f"{key} is {value!r:.80}, not {_WANTED[kind]}"
    return None


def read_categories(items: list[Any], mistakes: Mistakes) -> tuple[Category, ...]:
    """Read the categories of an annotation file and add what is wrong with them to ``mistakes``."""
    ids: set[int] = set()
    names: set[str] = set()
    categories = []
    for position, item in enumerate(items):
        problem = _problem(item, {"id": int, "name": str})
        if problem is None and item.get("isthing", 0) not in (0, 1):
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
        categories.append(Category(item["id"], item["name"], bool(item.get("isthing", 0)), _colour(item.get("color"))))
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
) -> dict[ImageId, tuple[str, tuple[Segment, ...]]]:
    """Label file name and segments by image id. Clears ``items`` on the way to save memory."""
    found: dict[ImageId, tuple[str, tuple[Segment, ...]]] = {}
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


def _read_segments(
    items: list[Any], category_ids: set[int], image_id: ImageId, mistakes: Mistakes
) -> tuple[Segment, ...]:
    segments = []
    ids: set[int] = set()
    for item in items:
        problem = _segment_problem(item, category_ids, ids)
        if problem is not None:
            mistakes.add(f"image {image_id}: {problem}")
            continue
        ids.add(item["id"])
        area = item.get("area")
        segments.append(
            Segment(
                item["id"],
                item["category_id"],
                None if area != area else area,  # NaN
                int(item.get("iscrowd") or 0),
            )
        )
    return tuple(segments)


def _segment_problem(item: Any, category_ids: set[int], ids: set[int]) -> str | None:
    """Say why one segment of ``segments_info`` is rejected; None if it is not."""
    problem = _problem(item, {"id": int, "category_id": int})
    if problem is not None:
        segment_id = item.get("id") if isinstance(item, dict) else None
        return f"segment {segment_id!r:.80}: {problem}" if segment_id is not None else f"a segment: {problem}"
    segment_id, category_id = item["id"], item["category_id"]
    area, iscrowd = item.get("area"), item.get("iscrowd")
    if not 0 < segment_id <= MAX_SEGMENT_ID:
        return f"segment id {segment_id} is not in 1..{MAX_SEGMENT_ID} (0 is void)"
    if segment_id in ids:
        return f"segment id {segment_id} occurs twice"
    if category_id not in category_ids:
        return f"segment {segment_id} has category_id {category_id}, which is not among the categories"
    if area is not None and type(area) not in _NUMBERS:
        return f"segment {segment_id}: area is {area!r:.80}, not a number"
    if iscrowd not in (None, 0, 1):
        return f"segment {segment_id}: iscrowd is {iscrowd!r:.80}, not 0 or 1"
    return None


def _read_images(
    items: list[Any],
    annotations: dict[ImageId, tuple[str, tuple[Segment, ...]]],
    panoptic_set: LabelledSet,
    mistakes: Mistakes,
) -> tuple[tuple[ImageRecord, ...], Findings]:
    """The images that have an annotation, and the names of images and labels that lack the other."""
    images: dict[ImageId, ImageRecord] = {}
    unlabelled: dict[ImageId, str] = {}
    for position, item in enumerate(items):
        problem = _problem(item, _IMAGE_KEYS)
        if problem is not None:
            mistakes.add(f"images[{position}]: {problem}")
            continue
        image_id, width, height = item["id"], item["width"], item["height"]
        if image_id in images or image_id in unlabelled:
            mistakes.add(f"image id {image_id} occurs twice")
            continue
        if width < 1 or height < 1:
            mistakes.add(f"image {image_id} is {width} x {height} pixels")
        file_name = _checked_name(panoptic_set.images_dir, item["file_name"], f"image {image_id}", mistakes)
        if image_id not in annotations:
            unlabelled[image_id] = file_name
            continue
        name, segments = annotations[image_id]
        label_name = _checked_name(panoptic_set.labels_dir, name, f"the annotation of image {image_id}", mistakes)
        images[image_id] = ImageRecord(image_id, file_name, label_name, width, height, segments)
    imageless = tuple(
        name for image_id, (name, _) in annotations.items() if image_id not in images and image_id not in unlabelled
    )
    return tuple(images.values()), Findings(len(images), tuple(unlabelled.values()), imageless)


def _checked_name(folder: Path, name: str, what: str, mistakes: Mistakes) -> str:
    """The name with "/" between folders, as Windows' tools may not write it, after checking that it stays inside."""
    name = name.replace("\\", "/")
    if not are_plain([name]):
        try:
            inside(folder, name, what)
        except ScasegError as error:
            mistakes.add(error.message)
    return name
