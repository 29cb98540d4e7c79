"""Writes small data sets in COCO's panoptic format from plain arrays."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from scaseg_cli.recipe.data_section import ImageSet

if TYPE_CHECKING:
    from pathlib import Path

CATEGORIES = ({"id": 1, "name": "cat", "isthing": 1}, {"id": 3, "name": "dog", "isthing": 1},
              {"id": 7, "name": "cow", "isthing": 1}, {"id": 100, "name": "grass", "isthing": 0},
              {"id": 187, "name": "sky", "isthing": 0})  # fmt: skip


@dataclass
class TinyImage:
    """One image: its segment ids [H,W] and the category_id of each."""

    image_id: int
    label: np.ndarray
    category_ids: dict[int, int]
    crowd: tuple[int, ...] = field(default=())


def striped(image_id: int, *category_ids: int, size: tuple[int, int] = (6, 8), crowd: bool = False) -> TinyImage:
    """An image of vertical stripes, one segment for each category; the last column is void."""
    height, width = size
    label = np.zeros((height, width), dtype=np.int64)
    edges = np.linspace(0, width - 1, len(category_ids) + 1).astype(int)
    segments = {}
    for place, category_id in enumerate(category_ids):
        segment_id = 70_000 * (place + 1) + image_id % 1000  # uses all three colour channels
        label[:, edges[place] : edges[place + 1]] = segment_id
        segments[segment_id] = category_id
    return TinyImage(image_id, label, segments, tuple(segments) if crowd else ())


def panoptic_json(images: list[TinyImage], categories: Any = CATEGORIES) -> dict[str, Any]:
    """The content of an annotation file."""
    return {
        "images": [
            {
                "id": image.image_id,
                "file_name": f"{image.image_id:012d}.jpg",
                "width": image.label.shape[1],
                "height": image.label.shape[0],
            }
            for image in images
        ],
        "annotations": [
            {
                "image_id": image.image_id,
                "file_name": f"{image.image_id:012d}.png",
                "segments_info": [_segment(image, *item) for item in image.category_ids.items()],
            }
            for image in images
        ],
        "categories": [dict(category) for category in categories],
    }


def _segment(image: TinyImage, segment_id: int, category_id: int) -> dict[str, Any]:
    rows, columns = np.nonzero(image.label == segment_id)
    box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1] if rows.size else [0, 0, 0, 0]
    return {
        "id": segment_id,
        "category_id": category_id,
        "area": int(rows.size),
        "bbox": [int(value) for value in box],
        "iscrowd": int(segment_id in image.crowd),
    }


def write_panoptic_set(
    root: Path, name: str, images: list[TinyImage], categories: Any = CATEGORIES, content: dict[str, Any] | None = None
) -> ImageSet:
    """Write images, PNGs and annotations of the set ``name`` under ``root``; ``content`` replaces the JSON's."""
    where = ImageSet(images=name, annotations=f"annotations/{name}.json", labels=f"annotations/{name}")
    (root / where.images).mkdir(parents=True, exist_ok=True)
    (root / where.labels).mkdir(parents=True, exist_ok=True)
    for image in images:
        ids = image.label[..., None]
        colours = np.concatenate([ids % 256, ids // 256 % 256, ids // 65536], axis=-1).astype(np.uint8)
        Image.fromarray(colours).save(root / where.labels / f"{image.image_id:012d}.png")
        Image.fromarray(255 - colours).save(root / where.images / f"{image.image_id:012d}.jpg", quality=95)
    text = json.dumps(content if content is not None else panoptic_json(images, categories))
    (root / f"annotations/{name}.json").write_text(text)
    return where
