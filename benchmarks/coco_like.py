"""Make annotation files like COCO panoptic's: the same numbers of images and segments, keys and value sizes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from scaseg_cli.data.class_lists import coco_panoptic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SEGMENTS = 11.0  # average per image: COCO's training set has 1.3 million in 118,287 images
_MAX_SEGMENT_ID = 256**3 - 1


def write_annotations(path: Path, name: str, num_images: int, seed: int) -> list[str]:
    """Write an annotation file of ``num_images`` images; return the stems of their file names.

    The file is written image by image, to keep the memory of this process small.

    Args:
        path: the file to write.
        name: the set's name as in COCO's URLs ("train2017").
        num_images: number of images.
        seed: the random seed; the same seed gives the same file.
    """
    random = np.random.default_rng(seed)
    image_ids = np.cumsum(random.integers(1, 9, num_images)).tolist()
    sizes = [(640, int(height)) for height in random.integers(360, 520, num_images)]
    categories = [
        {"supercategory": "any", "color": item.colour, "isthing": int(item.isthing), "id": item.id, "name": item.name}
        for item in coco_panoptic()
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"info": {"description": "made for a benchmark"}, "licenses": [], "images": [')
        _write_items(file.write, (_image(name, *item) for item in zip(image_ids, sizes, strict=True)))
        file.write('], "annotations": [')
        category_ids = np.array([item["id"] for item in categories])
        _write_items(
            file.write,
            (_annotation(random, category_ids, *item) for item in zip(image_ids, sizes, strict=True)),
        )
        file.write(f'], "categories": {json.dumps(categories)}}}')
    return [f"{image_id:012d}" for image_id in image_ids]


def _write_items(write: Any, items: Iterator[dict[str, Any]]) -> None:
    for number, item in enumerate(items):
        write((", " if number else "") + json.dumps(item))


def _image(name: str, image_id: int, size: tuple[int, int]) -> dict[str, Any]:
    file_name = f"{image_id:012d}.jpg"
    number, code = image_id * 7919 % 10**10, image_id * 104_729_104_729 % 16**10
    return {
        "license": image_id % 8 + 1,
        "file_name": file_name,
        "coco_url": f"http://images.cocodataset.org/{name}/{file_name}",
        "height": size[1],
        "width": size[0],
        "date_captured": f"2013-11-{image_id % 30 + 1:02d} {image_id % 24:02d}:{image_id % 60:02d}:{number % 60:02d}",
        "flickr_url": f"http://farm{image_id % 9 + 1}.staticflickr.com/4028/{number:010d}_{code:010x}_z.jpg",
        "id": image_id,
    }


def _annotation(
    random: np.random.Generator, category_ids: np.ndarray, image_id: int, size: tuple[int, int]
) -> dict[str, Any]:
    count = 1 + int(random.poisson(SEGMENTS - 1))
    left, top = random.integers(0, size[0] - 8, count), random.integers(0, size[1] - 8, count)
    width = (random.random(count) * (size[0] - left)).astype(int) + 1
    height = (random.random(count) * (size[1] - top)).astype(int) + 1
    ids = random.choice(_MAX_SEGMENT_ID, count, replace=False) + 1
    columns = (
        (width * height * random.uniform(0.2, 0.9, count)).astype(int) + 1,
        random.choice(category_ids, count),
        (random.random(count) < 0.01).astype(int),
        ids,
        np.stack([left, top, width, height], axis=1),
    )
    return {
        "segments_info": [
            {"area": area, "category_id": category_id, "iscrowd": iscrowd, "id": segment_id, "bbox": bbox}
            for area, category_id, iscrowd, segment_id, bbox in zip(*(c.tolist() for c in columns), strict=True)
        ],
        "file_name": f"{image_id:012d}.png",
        "image_id": image_id,
    }
