"""Training pictures of the small checkpoints: one thing, one kind of stuff, or a scene, with the classes in it.

Each picture has its own random stream, named by a word. Training and testing use different words, so they never draw
the same picture.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from scaseg_cli.shapes.drawing import Floats, Stuff, develop, paint_thing, random_stuff, random_thing, stuff_colours
from scaseg_cli.shapes.scenes import draw_scene
from scaseg_cli.shapes.world import STUFF, THINGS, ShapeClass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MEAN_COLOUR = (0.31, 0.28, 0.21)  # of the embedded world's pixels, RGB 0..1; also fills masked areas


@dataclass(frozen=True)
class Picture:
    """An RGB image [S, S, 3] and the classes to name in it."""

    image: NDArray[np.uint8]
    classes: tuple[ShapeClass, ...]


def stream(word: str, seed: int, *numbers: int) -> np.random.Generator:
    """Make the random stream of the picture that ``word``, ``seed`` and ``numbers`` identify."""
    return np.random.default_rng([zlib.crc32(word.encode()), seed, *numbers])


def _enlarged(part: Stuff, zoom: float) -> Stuff:
    return replace(part, cell=part.cell * zoom)


def _background(rng: np.random.Generator, size: int, stuff: Sequence[ShapeClass], zoom: float) -> Floats:
    """Usually some stuff; otherwise the mean colour, as in masked images, or any dark colour."""
    kind = rng.random()
    if kind < 0.6:
        return stuff_colours(_enlarged(random_stuff(rng, stuff[int(rng.integers(len(stuff)))]), zoom), size)
    colour = np.array(MEAN_COLOUR if kind < 0.8 else rng.uniform(0.0, 0.6, 3), np.float32)
    return np.tile(colour, (size, size, 1))


def thing_crop(
    rng: np.random.Generator,
    cls: ShapeClass,
    size: int,
    radius: tuple[float, float] = (0.18, 0.42),
    stuff: Sequence[ShapeClass] = STUFF,
    zoom: float = 1.0,
) -> Picture:
    """Draw one complete thing in front of a random background.

    Args:
        rng: the only source of randomness.
        cls: the thing's class.
        size: S.
        radius: minimum and maximum, as fractions of the side.
        stuff: candidate classes of the background.
        zoom: size of the background's pattern (as a fraction of the side) relative to a scene.
    """
    image = _background(rng, size, stuff, zoom)
    thing = random_thing(rng, cls, radius)
    middle = max(0.0, 0.46 - thing.radius)  # maximum offset of the centre from the image centre
    x, y = (0.5 + rng.uniform(-middle, middle, 2)).tolist()
    paint_thing(image, replace(thing, x=x, y=y))
    return Picture(develop(image, rng), (cls,))


def stuff_patch(
    rng: np.random.Generator, cls: ShapeClass, size: int, zoom: tuple[float, float] = (0.9, 1.5)
) -> Picture:
    """Fill an image with one kind of stuff, ``zoom`` times as large as in a scene; sometimes half is hidden."""
    image = stuff_colours(_enlarged(random_stuff(rng, cls), float(rng.uniform(*zoom))), size)
    if rng.random() < 0.25:
        cut = int(rng.integers(size // 3, size - size // 3))
        image[:cut] = np.array(MEAN_COLOUR, np.float32)
        image = image if rng.random() < 0.5 else image.transpose(1, 0, 2).copy()
    return Picture(develop(image, rng), (cls,))


def single(rng: np.random.Generator, cls: ShapeClass, size: int) -> Picture:
    """Draw one thing or one kind of stuff, depending on ``cls``."""
    return thing_crop(rng, cls, size) if cls.isthing else stuff_patch(rng, cls, size)


def scene_picture(rng: np.random.Generator, size: int) -> Picture:
    """Draw a whole scene of any classes; in half of them the mean colour hides some segments."""
    scene = draw_scene(rng, size, (1, 4), THINGS, STUFF)
    kept = np.ones(len(scene.classes), bool)
    image = scene.image
    if rng.random() < 0.5:
        kept = rng.random(len(kept)) < 0.5
        kept[int(rng.integers(len(kept)))] = True
        image = np.where(kept[scene.index][..., None], image, np.uint8(np.round(255 * np.array(MEAN_COLOUR))))
    classes = {cls.category_id: cls for cls, keep in zip(scene.classes, kept, strict=True) if keep}
    return Picture(image, tuple(classes.values()))
