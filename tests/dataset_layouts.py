"""Lays out each data set of the field in its own folders and formats, with three tiny drawn images.

A map is drawn as three columns of classes; the right one of a validation image is unseen, and a row at the bottom is of
no class.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from scaseg_cli.data.class_lists import read_class_list

WIDTH, HEIGHT, ROW = 48, 32, 2  # pixels; ROW rows of no class
_TINT = np.random.default_rng(0).integers(40, 200, (256, 3), dtype=np.uint8)


def ids_of(categories: str) -> dict[str, int]:
    """Label map values by first name."""
    return {item.name.split(",")[0]: item.id for item in read_class_list(Path(), categories)}


def drawn(left: int, middle: int, right: int, nothing: int) -> np.ndarray:
    """A label map, uint8 [H, W]."""
    map_HW = np.full((HEIGHT, WIDTH), nothing, np.uint8)
    for place, value in enumerate((left, middle, right)):
        map_HW[: HEIGHT - ROW, place * WIDTH // 3 : (place + 1) * WIDTH // 3] = value
    return map_HW


def save(path: Path, pixels: np.ndarray, palette: bool = False) -> None:
    """Write an image or a label map."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    if palette:
        image = image.convert("P")
        image.putdata(pixels.reshape(-1).tolist())
        image.putpalette(_TINT.reshape(-1).tolist())
    image.save(path)


def photograph(map_HW: np.ndarray, number: int) -> np.ndarray:
    """An image in which each class has a colour of its own; no two numbers give the same bytes."""
    pixels_HW3: np.ndarray = np.clip(_TINT[map_HW].astype(int) + number, 0, 255).astype(np.uint8)
    return pixels_HW3


def write_voc(root: Path, part: str, number: int, map_HW: np.ndarray) -> None:
    """VOCdevkit/VOC2012: palette PNGs and ImageSets; a further image has no label map."""
    name = f"2007_00000{number}"
    save(root / "JPEGImages" / f"{name}.jpg", photograph(map_HW, number))
    save(root / "JPEGImages" / "2008_000099.jpg", photograph(map_HW, 99))
    save(root / "SegmentationClass" / f"{name}.png", map_HW, palette=True)
    _append(root / "ImageSets/Segmentation" / f"{part}.txt", name)


def write_context(root: Path, part: str, number: int, map_HW: np.ndarray) -> None:
    """VOCdevkit/VOC2010 after MMSegmentation's converter."""
    name = f"2008_00000{number}"
    save(root / "JPEGImages" / f"{name}.jpg", photograph(map_HW, number))
    save(root / "SegmentationClassContext" / f"{name}.png", map_HW)
    _append(root / "ImageSets/SegmentationContext" / f"{part}.txt", name)


def write_ade20k(root: Path, part: str, number: int, map_HW: np.ndarray) -> None:
    """ADEChallengeData2016 as unpacked."""
    folder = {"train": "training", "val": "validation"}[part]
    name = f"ADE_{part}_0000000{number}"
    save(root / "images" / folder / f"{name}.jpg", photograph(map_HW, number))
    save(root / "annotations" / folder / f"{name}.png", map_HW)


def write_cityscapes(root: Path, part: str, number: int, map_HW: np.ndarray) -> None:
    """Cityscapes after csCreateTrainIdLabelImgs: one folder for each city, and further files beside the maps."""
    city = f"city{number}"
    name = f"{city}_000000_00001{number}"
    save(root / "leftImg8bit" / part / city / f"{name}_leftImg8bit.png", photograph(map_HW, number))
    save(root / "gtFine" / part / city / f"{name}_gtFine_labelTrainIds.png", map_HW)
    save(root / "gtFine" / part / city / f"{name}_gtFine_labelIds.png", map_HW + 7)
    (root / "gtFine" / part / city / f"{name}_gtFine_polygons.json").write_text("{}")


def write_camvid(root: Path, part: str, number: int, map_HW: np.ndarray) -> None:
    """SegNet's folders."""
    name = f"0001TP_00{number}.png"
    save(root / part / name, photograph(map_HW, number))
    save(root / f"{part}annot" / name, map_HW)


def write_ade20k_panoptic(root: Path, part: str, number: int, map_HW: np.ndarray) -> None:
    """What Mask2Former's prepare_ade20k_pan_seg.py makes: text ids, categories from 0 with fewer names."""
    write_ade20k(root, part, number, map_HW)
    name = f"ADE_{part}_0000000{number}"
    categories = [
        {"id": item.id - 1, "name": item.name.split(",")[0] + " ", "isthing": int(item.isthing)}
        for item in read_class_list(Path(), "ade20k")
    ]
    image = {"id": name, "file_name": f"{name}.jpg", "width": WIDTH, "height": HEIGHT}
    _add_panoptic(root / f"ade20k_panoptic_{part}.json", categories, image, f"{name}.png", map_HW, 0, -1)


def write_cityscapes_panoptic(root: Path, part: str, number: int, map_HW: np.ndarray) -> None:
    """What csCreatePanopticImgs makes: the JSON's image names have _gtFine and no city, ids are those of labelIds."""
    write_cityscapes(root, part, number, map_HW)
    name = f"city{number}_000000_00001{number}"
    categories = [
        {"id": item.id + 7, "name": item.name, "isthing": int(item.isthing), "color": list(item.colour or ())}
        for item in read_class_list(Path(), "cityscapes")
    ]
    image = {"id": name, "file_name": f"{name}_gtFine_leftImg8bit.png", "width": WIDTH, "height": HEIGHT}
    path = root / "gtFine" / f"cityscapes_panoptic_{part}.json"
    _add_panoptic(path, categories, image, f"{name}_gtFine_panoptic.png", map_HW, 255, 7)


def _append(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def _add_panoptic(
    path: Path, categories: Any, image: Any, label: str, map_HW: np.ndarray, nothing: int, shift: int
) -> None:
    """Add an image to a panoptic JSON; ``shift`` makes category ids of map values."""
    empty = {"images": [], "annotations": [], "categories": categories}
    content = json.loads(path.read_text()) if path.exists() else empty
    segments, rgb_HW3 = [], np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for value in (value for value in np.unique(map_HW).tolist() if value != nothing):
        mask_HW = map_HW == value
        rgb_HW3[mask_HW] = (value, 3, 0)
        left, top = int(np.flatnonzero(mask_HW.any(0))[0]), 0
        box = [left, top, int(mask_HW.any(0).sum()), int(mask_HW.any(1).sum())]
        more = {"area": int(mask_HW.sum()), "bbox": box, "iscrowd": 0}
        segments.append({"id": value + 3 * 256, "category_id": value + shift, **more})
    content["images"].append(image)
    content["annotations"].append({"image_id": image["id"], "file_name": label, "segments_info": segments})
    path.write_text(json.dumps(content))
    save(path.with_suffix("") / label, rgb_HW3)
