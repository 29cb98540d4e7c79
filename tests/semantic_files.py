"""Writes small data sets of images and label maps from plain arrays."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from scaseg_cli.recipe.data_section import ImageSet

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CLASSES = ({"id": 0, "name": "cat", "isthing": 1}, {"id": 1, "name": "cow", "isthing": 1, "color": [9, 8, 7]},
           {"id": 2, "name": "grass"}, {"id": 300, "name": "sky"})  # fmt: skip


def write_classes(root: Path, classes: Any = CLASSES) -> str:
    """Write the list of classes; returns its name for data.categories."""
    (root / "classes.json").write_text(json.dumps(classes))
    return "classes.json"


def columns(*values: int, height: int = 4, bits: int = 8) -> np.ndarray:
    """A label map whose columns hold these values."""
    return np.tile(np.array(values, dtype=np.uint8 if bits == 8 else np.uint16), (height, 1))


def write_maps(
    root: Path, name: str, maps: Mapping[str, np.ndarray], suffix: str = ".png", image_suffix: str = ".jpg"
) -> ImageSet:
    """Write images and label maps of the set ``name`` below ``root``; the keys of ``maps`` are the images' names."""
    where = ImageSet(images=name, labels=f"maps/{name}")
    for folder in (where.images, where.labels):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for stem, values in maps.items():
        Image.fromarray(values).save(root / where.labels / f"{stem}{suffix}")
        Image.new("RGB", values.shape[::-1], (90, 120, 30)).save(root / where.images / f"{stem}{image_suffix}")
    return where
