"""Synthetic panoptic labels and predictions of COCO's size and density, in COCO's format.

There are 133 categories. Images have 640 x 480 pixels and about eleven segments. Borders are as rough as hand-drawn
ones, so a PNG has COCO's 10 to 20 kB. There is void between some segments, and a crowd region in every eighth image. A
prediction is its label with moved borders, a few missing segments, and a few wrong classes.
"""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

WIDTH, HEIGHT = 640, 480
NUM_THINGS, NUM_CATEGORIES = 80, 133
_VOID = 0.02  # relative difference of two distances below which a pixel is void
LABELS, PREDICTIONS = "labels", "predictions"


def write_set(folder: Path, num_images: int, jobs: int) -> None:
    """Write ``labels.json``, ``predictions.json`` and their folders of PNGs, unless the folder already has them."""
    done = folder / "done.json"
    if done.is_file() and json.loads(done.read_text()) == num_images:
        return
    for name in (LABELS, PREDICTIONS):
        (folder / name).mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(jobs) as pool:
        pairs = list(pool.map(partial(_write_image, folder), range(1, num_images + 1), chunksize=8))
    images = [
        {"id": i, "file_name": f"{i:012d}.jpg", "width": WIDTH, "height": HEIGHT} for i in range(1, num_images + 1)
    ]
    categories = [
        {"id": k, "name": f"class {k}", "isthing": int(k <= NUM_THINGS)} for k in range(1, NUM_CATEGORIES + 1)
    ]
    for place, name in enumerate((LABELS, PREDICTIONS)):
        content = {"images": images, "annotations": [pair[place] for pair in pairs], "categories": categories}
        (folder / f"{name}.json").write_text(json.dumps(content))
    done.write_text(json.dumps(num_images))


def _write_image(folder: Path, image_id: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write the PNGs of one image's label and prediction; return their annotations."""
    rng = np.random.default_rng(image_id)
    num = int(np.clip(rng.poisson(11), 3, 40))
    seeds, weights = rng.uniform((0, 0), (HEIGHT, WIDTH), (num, 2)), rng.lognormal(0, 0.5, num)
    warp = _warp(rng, 30)
    label, margin = _nearest(seeds, weights, warp)
    predicted, _ = _nearest(seeds + rng.normal(0, 6, seeds.shape), weights, warp + _warp(rng, 6))
    categories = rng.integers(1, NUM_CATEGORIES + 1, num)
    guesses = np.where(rng.random(num) < 0.25, rng.integers(1, NUM_CATEGORIES + 1, num), categories)
    crowd = np.zeros(num, bool)
    crowd[0] = image_id % 8 == 0
    categories[0] = 1 if crowd[0] else categories[0]
    label[(margin < _VOID) | (label == num - 1)] = -1  # -1: void
    predicted[np.isin(predicted, np.flatnonzero(rng.random(num) < 0.1))] = -1
    annotations = []
    for name, places, classes in ((LABELS, label, categories), (PREDICTIONS, predicted, guesses)):
        ids = rng.choice(256**3 - 1, num, replace=False) + 1
        path = folder / name / f"{image_id:012d}.png"
        _save(path, np.where(places < 0, 0, ids[places]))
        segments = _segments(places, ids, classes, crowd if name == LABELS else np.zeros(num, bool))
        annotations.append({"image_id": image_id, "file_name": path.name, "segments_info": segments})
    return annotations[0], annotations[1]


def _nearest(seeds: np.ndarray, weights: np.ndarray, warp: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest seed by weighted distance, [H, W], and the relative margin to the second nearest, [H, W]."""
    grid = np.indices((HEIGHT, WIDTH), dtype=np.float32) + warp
    first = np.full((HEIGHT, WIDTH), np.inf, np.float32)
    second, winner = first.copy(), np.zeros((HEIGHT, WIDTH), np.int64)
    for place, ((y, x), weight) in enumerate(zip(seeds, weights, strict=True)):
        distance = np.hypot(grid[0] - np.float32(y), grid[1] - np.float32(x)) * np.float32(weight)
        nearer = distance < first
        second = np.where(nearer, first, np.minimum(second, distance))
        first = np.where(nearer, distance, first)
        winner[nearer] = place
    return winner, (second - first) / first


def _warp(rng: np.random.Generator, strength: float) -> np.ndarray:
    """Offset of each pixel before the search for its seed: smooth noise [2, H, W] at several scales."""
    moved = np.zeros((2, HEIGHT, WIDTH), np.float32)
    for cell in (128, 64, 32, 16, 8, 4):
        for axis in range(2):
            coarse = rng.standard_normal((HEIGHT // cell + 2, WIDTH // cell + 2)).astype(np.float32)
            moved[axis] += (
                strength * (cell / 128) ** 0.8 * cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
            )
    return moved


def _save(path: Path, ids: np.ndarray) -> None:
    Image.fromarray(np.stack([ids & 255, ids >> 8 & 255, ids >> 16], axis=-1).astype(np.uint8)).save(path)


def _segments(places: np.ndarray, ids: np.ndarray, classes: np.ndarray, crowd: np.ndarray) -> list[dict[str, Any]]:
    """Make ``segments_info`` of the segments that have at least one pixel."""
    segments = []
    for place in np.unique(places[places >= 0]).tolist():
        rows, columns = np.nonzero(places == place)
        left, top = int(columns.min()), int(rows.min())
        segments.append(
            {
                "id": int(ids[place]),
                "category_id": int(classes[place]),
                "area": len(rows),
                "bbox": [left, top, int(columns.max()) - left + 1, int(rows.max()) - top + 1],
                "iscrowd": int(crowd[place]),
            }
        )
    return segments
