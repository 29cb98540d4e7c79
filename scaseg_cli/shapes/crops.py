"""Pictures from which the small checkpoints learn: one thing, one kind of stuff, or a scene, with its classes.

Each picture has a random stream of its own, named by a word; training and testing use different words and so never
draw the same picture.
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

MEAN_COLOUR = (0.31, 0.28, 0.21)  # of the embedded world's pixels, RGB 0..1; also what hides a masked part


@dataclass(frozen=True)
class Picture:
    """An image [S, S, 3] RGB and the classes that are to be named in it."""

    image: NDArray[np.uint8]
    classes: tuple[ShapeClass, ...]


def stream(word: str, seed: int, *numbers: int) -> np.random.Generator:
    """Chance for the picture that ``word``, ``seed`` and ``numbers`` name."""
    return np.random.default_rng([zlib.crc32(word.encode()), seed, *numbers])


def _enlarged(part: Stuff, zoom: float) -> Stuff:
    return replace(part, cell=part.cell * zoom)


def _background(rng: np.random.Generator, size: int, stuff: Sequence[ShapeClass], zoom: float) -> Floats:
    """Mostly some stuff; else the mean colour, as in masked images, or any dark colour."""
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
    """One thing, not cut off, before a random background.

    Args:
        rng: the only source of chance.
        cls: the thing's class.
        size: S.
        radius: least and largest, fractions of the side.
        stuff: classes of which the background may be.
        zoom: how many times as large as in a scene, in fractions of the side, the background's pattern is.
    """
    image = _background(rng, size, stuff, zoom)
    thing = random_thing(rng, cls, radius)
    middle = max(0.0, 0.46 - thing.radius)  # how far the centre may lie from the image's
    x, y = (0.5 + rng.uniform(-middle, middle, 2)).tolist()
    paint_thing(image, replace(thing, x=x, y=y))
    return Picture(develop(image, rng), (cls,))


def stuff_patch(
    rng: np.random.Generator, cls: ShapeClass, size: int, zoom: tuple[float, float] = (0.9, 1.5)
) -> Picture:
    """An image full of one kind of stuff, ``zoom`` times as large as in a scene; at times half of it is hidden."""
    image = stuff_colours(_enlarged(random_stuff(rng, cls), float(rng.uniform(*zoom))), size)
    if rng.random() < 0.25:
        cut = int(rng.integers(size // 3, size - size // 3))
        image[:cut] = np.array(MEAN_COLOUR, np.float32)
        image = image if rng.random() < 0.5 else image.transpose(1, 0, 2).copy()
    return Picture(develop(image, rng), (cls,))


def single(rng: np.random.Generator, cls: ShapeClass, size: int) -> Picture:
    """One thing or one kind of stuff, whichever ``cls`` is."""
    return thing_crop(rng, cls, size) if cls.isthing else stuff_patch(rng, cls, size)


def scene_picture(rng: np.random.Generator, size: int) -> Picture:
    """A whole scene of any classes; in half of them only some segments are kept and the mean colour hides the rest."""
    scene = draw_scene(rng, size, (1, 4), THINGS, STUFF)
    kept = np.ones(len(scene.classes), bool)
    image = scene.image
    if rng.random() < 0.5:
        kept = rng.random(len(kept)) < 0.5
        kept[int(rng.integers(len(kept)))] = True
        image = np.where(kept[scene.index][..., None], image, np.uint8(np.round(255 * np.array(MEAN_COLOUR))))
    classes = {cls.category_id: cls for cls, keep in zip(scene.classes, kept, strict=True) if keep}
    return Picture(image, tuple(classes.values()))
