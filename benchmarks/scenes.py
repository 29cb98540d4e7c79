"""Synthetic images with segments of COCO's density, for benchmarks that do not depend on image content."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from scaseg_cli.data.images import ids_to_rgb
from scaseg_cli.data.records import Category, ImageRecord, Segment

if TYPE_CHECKING:
    from pathlib import Path

NUM_SEGMENTS = 11


def scene(
    image_id: int, width: int, height: int, category_ids: list[int], num_segments: int = NUM_SEGMENTS
) -> tuple[np.ndarray, np.ndarray, ImageRecord]:
    """Make an image of smooth noise, uint8 [H, W, 3], its segment ids, int32 [H, W], and the record of both."""
    random = np.random.default_rng(image_id)
    coarse = random.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    rows, columns = np.ogrid[:height, :width]
    centres = random.uniform((0, 0), (height, width), (num_segments, 2))
    distances = np.stack([(rows - y) ** 2 + (columns - x) ** 2 for y, x in centres])
    label = (distances.argmin(0) + 1).astype(np.int32)
    found, areas = np.unique(label, return_counts=True)
    chosen = random.choice(category_ids, len(found)).tolist()
    segments = tuple(
        Segment(segment_id, category_id, area, 0)
        for segment_id, category_id, area in zip(found.tolist(), chosen, areas.tolist(), strict=True)
    )
    name = f"{image_id:012d}"
    return image, label, ImageRecord(image_id, f"{name}.jpg", f"{name}.png", width, height, segments)


def write_scenes(
    root: Path, name: str, image_ids: range, size: tuple[int, int], categories: list[Category], used: list[int]
) -> None:
    """Write a set of scenes in COCO's format: ``NAME.json`` and the folders ``NAME`` and ``NAME_png``.

    Args:
        root: the folder to write to.
        name: the set's name.
        image_ids: the image ids; one image is written for each.
        size: width and height in pixels.
        categories: the categories of the annotation file.
        used: ids of the categories that occur.
    """
    for folder in (root / name, root / f"{name}_png"):
        folder.mkdir(parents=True)
    images, annotations = [], []
    for image_id in image_ids:
        pixels, label, record = scene(image_id, *size, used)
        Image.fromarray(pixels).save(root / name / record.file_name, quality=95)
        Image.fromarray(ids_to_rgb(label)).save(root / f"{name}_png" / record.label_name)
        images.append({"id": image_id, "file_name": record.file_name, "width": record.width, "height": record.height})
        segments = [{key: getattr(segment, key) for key in segment.__struct_fields__} for segment in record.segments]
        annotations.append({"image_id": image_id, "file_name": record.label_name, "segments_info": segments})
    listed = [{"id": item.id, "name": item.name, "isthing": int(item.isthing)} for item in categories]
    content = {"images": images, "annotations": annotations, "categories": listed}
    (root / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
