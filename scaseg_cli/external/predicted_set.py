"""Reads predictions in COCO's panoptic format: a JSON file and a folder of panoptic PNGs.

Mistakes are collected by image and reported together. As in panopticapi, predictions of images without labels are
ignored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from scaseg_cli.errors import ScasegError
from scaseg_cli.files import inside, read_json

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from scaseg_cli.data.records import Category, ImageId, LabelledSet

_HINT = (
    "Write COCO's result format: {'annotations': [{'image_id', 'file_name', 'segments_info': [{'id', 'category_id'}]}]}"
)
_MAX_SEGMENT_ID = 256**3 - 1


class Predicted(NamedTuple):
    """The prediction of one image: its panoptic PNG and the segments in it."""

    path: Path
    segment_ids: tuple[int, ...]
    category_ids: tuple[int, ...]


@dataclass
class PredictedSet:
    """The predictions of one JSON file, without the contents of the PNGs.

    Attributes:
        json_file: the JSON file.
        images: predictions by image id.
        mistakes: mistakes in predictions, by image id.
        num_others: number of predictions of images without labels.
    """

    json_file: Path
    images: dict[ImageId, Predicted] = field(default_factory=dict)
    mistakes: dict[ImageId, list[str]] = field(default_factory=dict)
    num_others: int = 0


def read_predictions(folder: Path, labels: LabelledSet) -> PredictedSet:
    """Read the predictions in ``folder`` for the images of ``labels``.

    Args:
        folder: the folder of PNGs; their JSON is FOLDER.json next to it, as in COCO, or the only JSON file in it.
        labels: the images and the valid categories.

    Raises:
        ScasegError: the folder does not exist, has no JSON or several, the JSON is not in COCO's format, or its
            categories differ from those of the labels.
    """
    path = _json_file(folder)
    content = read_json(path, "the file of predictions")
    items = content.get("annotations") if isinstance(content, dict) else None
    if not isinstance(items, list):
        raise ScasegError(f"{path} is not a file of predictions: it has no list of 'annotations'", _HINT)
    _check_categories(path, content.get("categories", []), labels.categories)
    found = PredictedSet(path)
    known = {record.image_id for record in labels.images}
    category_ids = {category.id for category in labels.categories}
    for place, item in enumerate(items):
        image_id = _image_id(path, place, item)
        if image_id not in known:
            found.num_others += 1
        else:
            _add(found, folder, image_id, item, category_ids)
    for image_id in known - found.images.keys() - found.mistakes.keys():
        found.mistakes[image_id] = ["it has no prediction"]
    return found


def _json_file(folder: Path) -> Path:
    if not folder.is_dir():
        raise ScasegError(
            f"the folder of predictions {folder} does not exist", "Name a folder of panoptic PNGs with a JSON."
        )
    whole = folder.resolve()  # "." has no name
    beside = whole.with_name(f"{whole.name}.json")
    found = [*([beside] if beside.is_file() else []), *sorted(folder.glob("*.json"))]
    if len(found) == 1:
        return found[0]
    wanted = f"Provide one: {whole.name}.json next to the folder, or one JSON file in it."
    if not found:
        raise ScasegError(f"the predictions in {folder} have no JSON file", wanted)
    raise ScasegError(f"the predictions in {folder} have {len(found)} JSON files: {', '.join(map(str, found))}", wanted)


def _check_categories(path: Path, items: Any, categories: Iterable[Category]) -> None:
    """Check that category ids mean the same classes in both files; most result files have no categories."""
    names = {category.id: category.name for category in categories}
    for item in items if isinstance(items, list) else ():
        category_id = item.get("id") if isinstance(item, dict) else None
        if type(category_id) is not int:
            raise ScasegError(f"{path} has a category whose id is not a whole number: {item!r:.80}", _HINT)
        if names.get(category_id, item.get("name")) != item.get("name"):
            raise ScasegError(
                f"{path} calls category {category_id} {item.get('name')!r:.80}, but the annotations call it "
                f"{names[category_id]!r}",
                "Score predictions with the annotations that they were made for.",
            )


def _image_id(path: Path, place: int, item: Any) -> ImageId:
    image_id = item.get("image_id") if isinstance(item, dict) else None
    if isinstance(image_id, float) and image_id.is_integer():
        return int(image_id)
    if type(image_id) is not int and type(image_id) is not str:
        raise ScasegError(f"{path}: the image_id of annotations[{place}] is neither a whole number nor text", _HINT)
    return image_id


def _add(found: PredictedSet, folder: Path, image_id: ImageId, item: dict[str, Any], category_ids: set[int]) -> None:
    """Add one image's prediction and its mistakes."""
    problems = ["it has two predictions"] if image_id in found.images or image_id in found.mistakes else []
    name, segments = item.get("file_name"), item.get("segments_info")
    if not isinstance(name, str):
        problems.append("its prediction has no file_name")
    elif not isinstance(segments, list):
        problems.append("its prediction has no list of segments_info")
    else:
        ids: dict[int, int] = {}  # keeps segments of unknown category, so that their pixels are not reported too
        for segment in segments:
            problem = _segment_problem(segment, ids, category_ids)
            if problem is not None:
                problems.append(problem)
            if isinstance(segment, dict) and _is_segment_id(segment.get("id")):
                ids[segment["id"]] = segment.get("category_id", 0)
        try:
            found.images[image_id] = Predicted(inside(folder, name, "its prediction"), tuple(ids), tuple(ids.values()))
        except ScasegError as error:
            problems.append(error.message)
    if problems:
        found.mistakes.setdefault(image_id, []).extend(problems)


def _segment_problem(item: Any, ids: dict[int, int], category_ids: set[int]) -> str | None:
    """Say why one segment of ``segments_info`` cannot be counted; None if it can."""
    if not isinstance(item, dict) or type(item.get("id")) is not int or type(item.get("category_id")) is not int:
        return f"the id or category_id of a segment is not a whole number: {item!r:.80}"
    segment_id, category_id = item["id"], item["category_id"]
    if not _is_segment_id(segment_id):
        return f"segment id {segment_id} is not in 1..{_MAX_SEGMENT_ID} (0 is void)"
    if segment_id in ids:
        return f"segment id {segment_id} occurs twice"
    if category_id not in category_ids:
        return f"segment {segment_id} has category_id {category_id}, which the annotations lack"
    if item.get("iscrowd", 0) != 0:
        return f"segment {segment_id} is marked as a crowd, which is valid only in labels"
    return None


def _is_segment_id(value: Any) -> bool:
    return type(value) is int and 0 < value <= _MAX_SEGMENT_ID
