"""Reads predictions in COCO's panoptic format: a JSON file and a folder of panoptic PNGs.

What other methods write differently is read as it is where it can be recognised for certain, and told in a note:
``label_id`` in place of ``category_id``, segments with the id 0, image ids as text. Mistakes are collected by image
and reported together. As in panopticapi, predictions of images without labels are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from scaseg_cli.data.annotations import without_garbage_collection
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import inside, read_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from scaseg_cli.data.records import Category, ImageId, LabelledSet

_HINT = (
    "Write COCO's result format: {'annotations': [{'image_id', 'file_name', 'segments_info': [{'id', 'category_id'}]}]}"
)
_SET_HINT = "Provide one prediction per image: a panoptic PNG of the image size, and its segments in the JSON."
_TWICE_HINT = (
    "Give each segment an id of its own. transformers gives one id to two segments where it fuses stuff: pass "
    "label_ids_to_fuse=set(), and fuse as docs/predict.md shows."
)
_MAX_SEGMENT_ID = 256**3 - 1
_CATEGORY, _LABEL = "category_id", "label_id"  # transformers writes the latter


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
        num_crowds: number of predicted segments that are marked as a crowd, which has no meaning.
        num_repeated: number of predicted segments that are listed again with the same category; they count once.
        notes: what is unusual in the file and how it was read.
        hint: what to do about the mistakes.
    """

    json_file: Path
    images: dict[ImageId, Predicted] = field(default_factory=dict)
    mistakes: dict[ImageId, list[str]] = field(default_factory=dict)
    num_others: int = 0
    num_crowds: int = 0
    num_repeated: int = 0
    notes: list[str] = field(default_factory=list)
    hint: str = _SET_HINT


def read_predictions(folder: Path, labels: LabelledSet, json_file: Path | None = None) -> PredictedSet:
    """Read the predictions in ``folder`` for the images of ``labels``.

    Args:
        folder: the folder of PNGs.
        labels: the images and the valid categories.
        json_file: the JSON; None: FOLDER.json next to the folder, as in COCO, or the only JSON file in it.

    Raises:
        ScasegError: the folder does not exist, has no JSON or several, the JSON is not in COCO's format, or its
            categories differ from those of the labels.
    """
    path = _json_file(folder, json_file)
    with without_garbage_collection():
        return _read(path, folder, labels)


def _read(path: Path, folder: Path, labels: LabelledSet) -> PredictedSet:
    content = read_json(path, "the file of predictions")
    items = content.get("annotations") if isinstance(content, dict) else None
    if not isinstance(items, list):
        raise ScasegError(f"{path} is not a file of predictions: it has no list of 'annotations'", _HINT)
    _check_categories(path, content.get("categories", []), labels.categories)
    found = PredictedSet(path)
    reader = _Reader(found, folder, labels.categories, _category_key(found, items, labels.categories))
    known = {str(record.image_id): record.image_id for record in labels.images}
    keys = [_image_key(path, place, item) for place, item in enumerate(items)]
    if not known.keys() & set(keys):
        theirs = f"the predictions have {keys[0]!r}" if keys else "there are no predictions"
        raise ScasegError(
            f"no prediction in {path} is of one of the {len(known)} images of the annotations",
            f"Compare the image_id of both files: {theirs}, the annotations have {next(iter(known), 'none')!r}.",
        )
    for key, item in zip(keys, items, strict=True):
        if key not in known:
            found.num_others += 1
        else:
            reader.add(known[key], item)
    for image_id in set(known.values()) - found.images.keys() - found.mistakes.keys():
        found.mistakes[image_id] = ["it has no prediction"]
    if reader.unknown_ids and max(reader.unknown_ids) <= len(labels.categories):
        found.hint = (
            "Write the category ids of the annotations. These look like positions in a list of "
            f"{len(labels.categories)} classes: map them back as the method's own evaluation does."
        )
    return found


def _json_file(folder: Path, named: Path | None) -> Path:
    check_folder(folder, "Name a folder of panoptic PNGs with a JSON.")
    if named is not None:
        if not named.is_file():
            raise ScasegError(f"the file of predictions {named} does not exist", "Check --predictions-json.")
        return named
    whole = folder.resolve()  # "." has no name
    beside = whole.with_name(f"{whole.name}.json")
    found = [*([beside] if beside.is_file() else []), *sorted(folder.glob("*.json"))]
    if len(found) == 1:
        return found[0]
    wanted = f"Name it with --predictions-json FILE, or provide one: {whole.name}.json next to the folder, or in it."
    if not found:
        raise ScasegError(f"the predictions in {folder} have no JSON file", wanted)
    shown = ", ".join(map(str, found[:5])) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
    raise ScasegError(f"the predictions in {folder} have {len(found)} JSON files: {shown}", wanted)


def check_folder(folder: Path, hint: str) -> None:
    """Check that the folder of predictions exists.

    Raises:
        ScasegError: it does not, or it is a file; the hint says what the folder has.
    """
    if folder.is_file():
        raise ScasegError(
            f"the predictions {folder} are a file, not a folder", f"{hint} --predictions-json FILE names their JSON."
        )
    if not folder.is_dir():
        raise ScasegError(f"the folder of predictions {folder} does not exist", hint)


def _check_categories(path: Path, items: Any, categories: Iterable[Category]) -> None:
    """Check that category ids mean the same classes in both files; most result files have no categories."""
    names: dict[Any, str] = {category.id: category.name for category in categories}
    for item in items if isinstance(items, list) else ():
        category_id = item.get("id") if isinstance(item, dict) else None
        known = names.get(category_id) if isinstance(category_id, int | float | str) else None
        if known is not None and known != item.get("name"):
            raise ScasegError(
                f"{path} calls category {item['id']} {item.get('name')!r}, but the annotations call it "
                f"{names[item['id']]!r}",
                "Score predictions with the annotations that they were made for.",
            )


def _image_key(path: Path, place: int, item: Any) -> str:
    """The image id as text, so that "3", 3 and 3.0 are one image."""
    value = item.get("image_id") if isinstance(item, dict) else None
    number = whole_number(value)
    if number is None and (not isinstance(value, str) or not value):
        raise ScasegError(f"{path}: the image_id of annotations[{place}] is neither a whole number nor text", _HINT)
    return str(number) if number is not None else str(value)


def whole_number(value: Any) -> int | None:
    """The value as an integer if it is one, or a float without a fraction; else None.

    >>> whole_number(3), whole_number(3.0), whole_number(3.5), whole_number("3"), whole_number(True)
    (3, 3, None, None, None)
    """
    if type(value) is int:
        return value
    return int(value) if type(value) is float and value.is_integer() else None


def _category_key(found: PredictedSet, items: list[Any], categories: Sequence[Category]) -> dict[int, int] | None:
    """How to read ``label_id``: positions in the list of categories to category ids; None where there is no such key.

    Raises:
        ScasegError: it is not clear what the values mean.
    """
    segments = [segment for item in items if isinstance(item, dict) for segment in _segments(item)]
    values = {segment[_LABEL] for segment in segments if _CATEGORY not in segment and _LABEL in segment}
    labels = {number for value in values if (number := whole_number(value)) is not None}
    if not labels:
        return None
    ids = [category.id for category in categories]
    positions = dict(enumerate(ids))
    if labels <= positions.keys() and (not labels <= set(ids) or ids == list(positions)):
        found.notes.append("Its label_id was read as the position in the annotations' list of categories, from 0.")
        return positions
    if labels <= set(ids) and not labels <= positions.keys():
        found.notes.append("Its label_id was read as the category_id.")
        return {category_id: category_id for category_id in ids}
    shown = ", ".join(map(str, sorted(labels)[:5]))
    raise ScasegError(
        f"{found.json_file} has label_id in place of category_id, and it is not clear what its values mean: {shown}",
        "Write category_id, the id in the annotations, of each segment: "
        "categories[segment['label_id']]['id'] for a model trained on these categories in their order.",
    )


def _segments(item: dict[str, Any]) -> list[dict[str, Any]]:
    found = item.get("segments_info")
    return [segment for segment in found if isinstance(segment, dict)] if isinstance(found, list) else []


class _Reader:
    """Reads the annotations of a `PredictedSet` one by one."""

    def __init__(
        self, found: PredictedSet, folder: Path, categories: Sequence[Category], label_ids: dict[int, int] | None
    ) -> None:
        self._found, self._folder, self._label_ids = found, folder, label_ids
        self._category_ids = {category.id for category in categories}
        self.unknown_ids: set[int] = set()

    def add(self, image_id: ImageId, item: dict[str, Any]) -> None:
        """Add one image's prediction and its mistakes."""
        found = self._found
        problems = ["it has two predictions"] if image_id in found.images or image_id in found.mistakes else []
        name, segments = item.get("file_name"), item.get("segments_info")
        if not isinstance(name, str):
            problems.append("its prediction has no file_name")
        elif not isinstance(segments, list):
            problems.append("its prediction has no list of segments_info")
        else:
            ids: dict[int, int] = {}  # keeps segments of unknown category, so that their pixels are not reported too
            for segment in segments:
                problem = self._add_segment(segment, ids)
                if problem is not None:
                    problems.append(problem)
            try:
                path = inside(self._folder, name, "its prediction")
                found.images[image_id] = Predicted(path, tuple(ids), tuple(ids.values()))
            except ScasegError as error:
                problems.append(error.message)
        if problems:
            found.mistakes.setdefault(image_id, []).extend(problems)

    def _add_segment(self, item: Any, ids: dict[int, int]) -> str | None:
        """Add one segment to ``ids``; say why it cannot be counted, or None."""
        segment_id = whole_number(item.get("id")) if isinstance(item, dict) else None
        category_id = self._category_id(item) if isinstance(item, dict) else None
        if segment_id is None or category_id is None:
            return f"the id or category_id of a segment is not a whole number: {item!r:.80}"
        if not 0 <= segment_id <= _MAX_SEGMENT_ID:
            return f"segment id {segment_id} is not in 0..{_MAX_SEGMENT_ID}"
        if segment_id in ids:
            if ids[segment_id] == category_id:  # transformers lists the parts of a fused segment
                self._found.num_repeated += 1
                return None
            self._found.hint = _TWICE_HINT
            return f"segment id {segment_id} occurs twice, with category_id {ids[segment_id]} and {category_id}"
        ids[segment_id] = category_id
        if category_id not in self._category_ids:
            self.unknown_ids.add(category_id)
            return f"segment {segment_id} has category_id {category_id}, which the annotations lack"
        self._found.num_crowds += bool(item.get("iscrowd"))
        return None

    def _category_id(self, item: dict[str, Any]) -> int | None:
        if self._label_ids is None or _CATEGORY in item:
            return whole_number(item.get(_CATEGORY))
        label = whole_number(item.get(_LABEL))
        return self._label_ids.get(label) if label is not None else None
