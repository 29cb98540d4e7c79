"""Writes the embedded world as a dataset in COCO's panoptic format, with label maps."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from scaseg_cli.data.images import ids_to_rgb
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import write_json
from scaseg_cli.results.console import track
from scaseg_cli.shapes.scenes import Scene, draw_scene
from scaseg_cli.shapes.world import (
    CATEGORIES,
    CLASSES,
    MAP_CATEGORIES,
    SEEN_STUFF,
    SEEN_THINGS,
    STUFF,
    THINGS,
    ShapeClass,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from scaseg_cli.recipe.data_section import ShapesData

SETS = ("train", "selection", "validation")
_MARK = "shapes.json"  # marks a folder as an embedded world that may be overwritten
_UNFINISHED = ".unfinished"
_PLACES = {cls.name: place for place, cls in enumerate(CLASSES)}
_IDS_A_SET = 1_000_000  # image ids of different sets never collide


def scene_of(config: ShapesData, name: str, number: int) -> Scene:
    """Draw scene ``number`` of the set ``name``; it depends only on the seed, the set and the number.

    Training scenes contain 2-5 things. A fraction of them (``unseen_fraction``) may contain any class, the others no
    unseen class. Scenes of the other sets contain 1-4 things of any class.
    """
    rng = np.random.default_rng([config.seed, SETS.index(name), number])
    free = name != "train" or rng.random() < config.unseen_fraction
    things, stuff = (THINGS, STUFF) if free else (SEEN_THINGS, SEEN_STUFF)
    return draw_scene(rng, config.image_size, (2, 5) if name == "train" else (1, 4), things, stuff)


def _segment_ids(rng: np.random.Generator, classes: tuple[ShapeClass, ...]) -> list[int]:
    """A colour for each segment, R + 256 G + 65536 B: near the class colour, and distinct within the image."""
    ids: list[int] = []
    while len(ids) < len(classes):
        near = zip(classes[len(ids)].label_colour, rng.integers(-25, 26, 3).tolist(), strict=True)
        red, green, blue = (min(max(value + offset, 0), 255) for value, offset in near)
        number = red + 256 * green + 65536 * blue
        if number and number not in ids:
            ids.append(number)
    return ids


def _segments(scene: Scene, ids: list[int]) -> list[dict[str, Any]]:
    segments = []
    for place, (number, cls) in enumerate(zip(ids, scene.classes, strict=True)):
        mask = scene.index == place
        segments.append(
            {
                "id": number,
                "category_id": cls.category_id,
                "area": int(np.count_nonzero(mask)),
                "bbox": list(cv2.boundingRect(mask.view(np.uint8))),  # x, y, width, height
                "iscrowd": 0,
            }
        )
    return segments


def _label_map(scene: Scene) -> NDArray[np.uint8]:
    """The class of each pixel [S, S], as an index into `MAP_CATEGORIES`."""
    return np.array([_PLACES[cls.name] for cls in scene.classes], np.uint8)[scene.index]


def _write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write an RGB image [H, W, 3] or a label map [H, W]."""
    shown = pixels[..., ::-1] if pixels.ndim == 3 else pixels
    ok, data = cv2.imencode(".png", shown)
    assert ok, path
    path.write_bytes(data.tobytes())


def _write_set(root: Path, config: ShapesData, name: str, count: int) -> None:
    images_dir, labels_dir = root / name, root / "annotations" / f"panoptic_{name}"
    maps_dir = root / "annotations" / f"semantic_{name}"
    for folder in (images_dir, labels_dir, maps_dir):
        folder.mkdir(parents=True)
    images, annotations = [], []
    for number in track(range(count), f"Drawing {name} scenes", count):
        scene = scene_of(config, name, number)
        image_id = 1 + number + _IDS_A_SET * SETS.index(name)
        file_name = f"{image_id:012d}.png"
        ids = _segment_ids(np.random.default_rng([config.seed, SETS.index(name), number, 1]), scene.classes)
        _write_png(images_dir / file_name, scene.image)
        _write_png(labels_dir / file_name, ids_to_rgb(np.array(ids)[scene.index]))
        _write_png(maps_dir / file_name, _label_map(scene))
        side = config.image_size
        images.append({"id": image_id, "file_name": file_name, "width": side, "height": side})
        annotations.append({"image_id": image_id, "file_name": file_name, "segments_info": _segments(scene, ids)})
    info = {"description": f"scaseg embedded world, {name}", "version": "1", "config": config.model_dump(mode="json")}
    whole = {"info": info, "licenses": [], "images": images, "annotations": annotations, "categories": CATEGORIES}
    (root / "annotations" / f"panoptic_{name}.json").write_text(json.dumps(whole), encoding="utf-8")


def _claim(root: Path) -> None:
    """Raise if ``root`` contains other data."""
    foreign = [part for part in (*SETS, "annotations") if (root / part).exists()]
    if foreign and not (root / _MARK).is_file():
        raise ScasegError(
            f"{root} already contains {foreign[0]}/, which is not the embedded world",
            "Choose an empty or a new folder; nothing was changed.",
        )


def make_shapes(root: Path, config: ShapesData) -> None:
    """Write the embedded world to ``root``: images, panoptic labels, label maps and annotations of the three sets.

    It replaces an older embedded world. The annotations are written last and at once, so an interrupted run leaves no
    readable set.

    Raises:
        ScasegError: ``root`` contains other data or cannot be written, or the disk is full.
    """
    counts = (config.num_train, config.num_selection, config.num_validation)
    unfinished = root / _UNFINISHED
    try:
        _claim(root)
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        write_json(root / _MARK, config.model_dump(mode="json"))
        for name, count in zip(SETS, counts, strict=True):
            _write_set(unfinished, config, name, count)
        write_json(unfinished / "annotations" / "categories.json", MAP_CATEGORIES)
        for part in ("annotations", *SETS):
            if (root / part).exists():
                shutil.rmtree(root / part)
        for part in (*SETS, "annotations"):
            (unfinished / part).rename(root / part)
    except OSError as error:
        raise ScasegError(
            f"cannot write the embedded world to {root}: {error.strerror or error}",
            "Free some space, or choose another folder.",
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
