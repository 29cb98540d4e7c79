"""Writes labels and predictions in COCO's panoptic format from maps of segment ids."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

CATEGORIES = [
    {"id": 1, "name": "cat", "isthing": 1},
    {"id": 3, "name": "dog", "isthing": 1},
    {"id": 7, "name": "cow", "isthing": 1},
    {"id": 100, "name": "grass", "isthing": 0},
]


CATEGORY_IDS = [1, 3, 7, 100]


@dataclass
class Pair:
    """One image's label and prediction: maps of ids [H, W], 0 being void, and the segments of each."""

    label: np.ndarray
    labelled: list[dict[str, Any]]
    prediction: np.ndarray
    predicted: list[dict[str, Any]]


def segment(segment_id: int, category_id: int, iscrowd: int | None = None) -> dict[str, Any]:
    """A segment as a prediction has it or, with ``iscrowd``, as a label has it."""
    found = {"id": segment_id, "category_id": category_id}
    return found if iscrowd is None else {**found, "area": 1, "bbox": [0, 0, 1, 1], "iscrowd": iscrowd}


def strip(text: str) -> np.ndarray:
    """A map of one row: a digit is a segment's id, a dot is void."""
    return np.array([[0 if sign == "." else int(sign) for sign in text]])


def strips(label: str, labelled: dict[int, Any], prediction: str, predicted: dict[int, int]) -> Pair:
    """An image of one row; segments are {id: category} or, of a crowd region, {id: (category,)}."""
    truths = [segment(i, c[0], 1) if isinstance(c, tuple) else segment(i, c, 0) for i, c in labelled.items()]
    return Pair(strip(label), truths, strip(prediction), [segment(i, c) for i, c in predicted.items()])


def rectangles(rng: np.random.Generator, side: int, num_ids: int) -> np.ndarray:
    """Rectangles of ids over each other, some of them void; ids are large, and some are in every map."""
    ids = np.concatenate([[256, 65_536], 1 + rng.choice((1 << 24) - 1, num_ids, replace=False)])
    drawn = np.zeros((side, side + 1), dtype=np.int64)
    for value in [*ids, 0, *ids[::-1], 0]:
        top, left = rng.integers(0, side, 2)
        high, wide = rng.integers(1, side, 2)
        drawn[top : top + high, left : left + wide] = value
    return drawn


def random_pair(rng: np.random.Generator) -> Pair:
    """An image with up to ten rectangles, some of them crowds, and a prediction like its label or a random one."""
    label = rectangles(rng, 12, int(rng.integers(0, 6)))
    prediction = np.where(rng.random(label.shape) < 0.1, 0, label)
    if rng.random() < 0.4:
        prediction = rectangles(rng, 12, int(rng.integers(0, 6)))
    categories = {i: int(rng.choice(CATEGORY_IDS)) for i in {*label.flat, *prediction.flat} - {0}}
    truths = [segment(int(i), categories[i], int(rng.random() < 0.25)) for i in set(label.flat) - {0}]
    guesses = [segment(int(i), categories[i]) for i in set(prediction.flat) - {0}]
    return Pair(label, [truths[i] for i in rng.permutation(len(truths))], prediction, guesses)


def write_pairs(folder: Path, pairs: list[Pair]) -> None:
    """Write ``labels.json`` and ``predictions.json``, each beside its folder of PNGs; image ids count from 1."""
    for name in ("labels", "predictions"):
        (folder / name).mkdir(parents=True)
    images, labels, predictions = [], [], []
    for image_id, pair in enumerate(pairs, start=1):
        height, width = pair.label.shape
        images.append({"id": image_id, "file_name": f"{image_id}.jpg", "width": width, "height": height})
        of_image = {"image_id": image_id, "file_name": f"{image_id}.png"}
        areas = {int(i): int(n) for i, n in zip(*np.unique(pair.label, return_counts=True), strict=True)}
        truths = [{**truth, "area": areas.get(truth["id"], 0)} for truth in pair.labelled]
        labels.append({**of_image, "segments_info": truths})
        predictions.append({**of_image, "segments_info": pair.predicted})
        write_map(folder / "labels" / f"{image_id}.png", pair.label)
        write_map(folder / "predictions" / f"{image_id}.png", pair.prediction)
    document = {"images": images, "annotations": labels, "categories": CATEGORIES}
    (folder / "labels.json").write_text(json.dumps(document))
    (folder / "predictions.json").write_text(json.dumps({"annotations": predictions}))


def write_map(path: Path, ids: np.ndarray) -> None:
    """A panoptic PNG."""
    colours = np.stack([ids & 255, ids >> 8 & 255, ids >> 16 & 255], axis=-1)
    Image.fromarray(colours.astype(np.uint8)).save(path)


def change_json(path: Path, change: Any) -> None:
    """Let ``change`` alter the content of a JSON file in place."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
