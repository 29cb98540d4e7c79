"""Two photographs of COCO with their panoptic labels, or, where they are not here, two drawn in their place.

They can be written in the layout of COCO panoptic and in that of COCO-Stuff.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from outside_data import outside
from PIL import Image

from scaseg_cli.data.class_lists import coco_panoptic, coco_stuff, coco_stuff_raw_values
from scaseg_cli.data.images import ids_to_rgb, rgb_to_ids

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE = outside("coco_sample")
FOOTBALL, RACE = 142238, 439180  # people on a lawn with a ball; riders, horses and trucks on gravel
# What the drawn ones hold: of the real ones' classes, the same that only the race has.
_DRAWN = {
    FOOTBALL: ("sky-other-merged", "tree-merged", "grass-merged", "person", "person", "sports ball"),
    RACE: ("sky-other-merged", "tree-merged", "gravel", "person", "horse", "horse", "truck"),
}
_STUFF_NAMES = {"sky-other-merged": "sky-other", "tree-merged": "tree", "grass-merged": "grass"}
_VOID = 255  # in COCO-Stuff's maps


@dataclass(frozen=True)
class InputImage:
    """One image: its number, the bytes of its JPEG, the segment ids of its pixels [H,W], and COCO's segments_info."""

    image_id: int
    jpeg: bytes
    label: np.ndarray
    segments: list[dict[str, Any]]


def images() -> dict[int, InputImage]:
    """`FOOTBALL` and `RACE`, real where the folder beside the repository is there."""
    if not SAMPLE.is_dir():
        return {image_id: _drawn(image_id, names) for image_id, names in _DRAWN.items()}
    content = json.loads((SAMPLE / "panoptic_examples.json").read_text())
    found = {}
    for item in content["annotations"]:
        label = rgb_to_ids(np.array(Image.open(SAMPLE / "panoptic_examples" / item["file_name"]).convert("RGB")))
        jpeg = (SAMPLE / "input_images" / item["file_name"].replace(".png", ".jpg")).read_bytes()
        found[item["image_id"]] = InputImage(item["image_id"], jpeg, label, item["segments_info"])
    return found


def _drawn(image_id: int, names: tuple[str, ...]) -> InputImage:
    """Three stripes of stuff with boxes before them, in noisy colours of their own; a corner is void."""
    rng = np.random.default_rng(image_id)
    height, width = int(rng.integers(360, 428)), 640
    category_ids = {category.name: category.id for category in coco_panoptic()}
    label, colours = np.zeros((height, width), np.int32), rng.integers(0, 256, (len(names) + 1, 3))
    for place, _ in enumerate(names):
        if place < 3:
            label[place * height // 3 :] = place + 1
        else:
            top, left = int(rng.integers(height - 120)), 120 * (place - 3)
            label[top : top + 120, left : left + 100] = place + 1
    label[-20:, -20:] = 0
    pixels = np.clip(colours[label] + rng.normal(0, 20, (height, width, 3)), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    segments = [_segment(label, place + 1, category_ids[name]) for place, name in enumerate(names)]
    return InputImage(image_id, file.getvalue(), label, [item for item in segments if item["area"]])


def _segment(label: np.ndarray, segment_id: int, category_id: int) -> dict[str, Any]:
    rows, columns = np.nonzero(label == segment_id)
    box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1] if rows.size else [0, 0, 0, 0]
    return {
        "id": segment_id,
        "category_id": category_id,
        "area": int(rows.size),
        "bbox": [int(value) for value in box],
        "iscrowd": 0,
    }


def write_images(folder: Path, found: list[InputImage]) -> None:
    """The JPEGs, under COCO's names."""
    folder.mkdir(parents=True)
    for image in found:
        (folder / f"{image.image_id:012d}.jpg").write_bytes(image.jpeg)


def write_panoptic(folder: Path, name: str, found: list[InputImage]) -> None:
    """COCO's panoptic JSON, with its 133 categories, and beside it the folder of its PNGs, both called ``name``."""
    labels = folder / name
    labels.mkdir(parents=True)
    content: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": [], "categories": []}
    for image in found:
        (height, width), stem = image.label.shape, f"{image.image_id:012d}"
        Image.fromarray(ids_to_rgb(image.label)).save(labels / f"{stem}.png")
        content["images"].append({"id": image.image_id, "file_name": f"{stem}.jpg", "width": width, "height": height})
        content["annotations"].append(
            {"image_id": image.image_id, "file_name": f"{stem}.png", "segments_info": image.segments}
        )
    content["categories"] = [
        {"id": category.id, "name": category.name, "isthing": int(category.isthing), "color": category.colour}
        for category in coco_panoptic()
    ]
    (folder / f"{name}.json").write_text(json.dumps(content))


def write_label_maps(folder: Path, found: list[InputImage]) -> None:
    """COCO-Stuff's own label maps, 0..181 and 255, of the classes that the panoptic labels name."""
    panoptic_names = {category.id: category.name for category in coco_panoptic()}
    values = {item.name: value for item, value in zip(coco_stuff(), coco_stuff_raw_values(), strict=True)}
    folder.mkdir(parents=True)
    for image in found:
        value_map = np.full(image.label.shape, _VOID, np.uint8)
        for segment in image.segments:
            name = panoptic_names[segment["category_id"]]
            value_map[image.label == segment["id"]] = values[_STUFF_NAMES.get(name, name)]
        Image.fromarray(value_map).save(folder / f"{image.image_id:012d}.png")
