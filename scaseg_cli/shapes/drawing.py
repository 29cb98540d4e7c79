"""Draws masks and colours of single things and stuff on a square pixel grid.

Lengths are fractions of the image's side; images are float RGB in 0..1. S: the image's side in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from scaseg_cli.shapes.world import COLOURS, ShapeClass

Floats = NDArray[np.float32]
_OUTLINE = 0.02  # a darker rim separates overlapping things of one colour
_CELL = {"stripes": (0.11, 0.16), "dots": (0.13, 0.17), "checks": (0.075, 0.11), "plain": (1.0, 1.0)}


@dataclass(frozen=True)
class Thing:
    """One placed thing. ``tint`` is the RGB offset of its colour from the class colour."""

    cls: ShapeClass
    x: float
    y: float
    radius: float
    angle: float
    tint: tuple[float, float, float]


@dataclass(frozen=True)
class Stuff:
    """One region of stuff: the pixels that are nearer to its (x, y) than to any other region's."""

    cls: ShapeClass
    x: float
    y: float
    angle: float
    cell: float
    tint: tuple[float, float, float]


@lru_cache(maxsize=8)
def grid(size: int) -> tuple[Floats, Floats]:
    """Coordinates x, y of the pixel centres, each [S, S]."""
    centres = (np.arange(size, dtype=np.float32) + 0.5) / size
    shape = (size, size)
    return np.broadcast_to(centres, shape), np.broadcast_to(centres[:, None], shape)


def _tint(rng: np.random.Generator) -> tuple[float, float, float]:
    light = rng.uniform(0.8, 1.0)
    red, green, blue = (light * (1.0 + rng.uniform(-0.08, 0.08, 3))).tolist()
    return red, green, blue


def random_thing(
    rng: np.random.Generator, cls: ShapeClass, radius: tuple[float, float] = (0.14, 0.24), margin: float = 0.1
) -> Thing:
    """Place a thing of class ``cls`` at random, its centre at least ``margin`` from the image border."""
    x, y = rng.uniform(margin, 1.0 - margin, 2).tolist()
    return Thing(cls, x, y, float(rng.uniform(*radius)), float(rng.uniform(-0.4, 0.4)), _tint(rng))


def random_stuff(rng: np.random.Generator, cls: ShapeClass) -> Stuff:
    """Place a region of class ``cls`` at random; stripes and checks are rotated by up to 45 degrees."""
    x, y = rng.uniform(0.0, 1.0, 2).tolist()
    angle = float(rng.uniform(-0.8, 0.8) + (np.pi / 2) * rng.integers(2))
    return Stuff(cls, x, y, angle, float(rng.uniform(*_CELL[cls.form])), _tint(rng))


def _colour(part: Thing | Stuff) -> Floats:
    return np.array(COLOURS[part.cls.colour], np.float32) * np.array(part.tint, np.float32)


def _rotated(size: int, x: float, y: float, angle: float) -> tuple[Floats, Floats]:
    grid_x, grid_y = grid(size)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    right, down = grid_x - np.float32(x), grid_y - np.float32(y)
    return cos * right + sin * down, cos * down - sin * right


def thing_depth(thing: Thing, size: int) -> Floats:
    """Depth of each pixel inside the thing, [S, S]; negative outside."""
    right, down = _rotated(size, thing.x, thing.y, thing.angle)
    radius = np.float32(thing.radius)
    form = thing.cls.form
    if form == "ring":
        return 0.26 * radius - np.abs(np.hypot(right, down) - 0.74 * radius)
    right = np.abs(right)
    if form == "square":
        return 0.84 * radius - np.maximum(right, np.abs(down))
    if form == "triangle":  # point up, all corners 1.1 radii from the centre
        inside: Floats = np.minimum(0.55 * radius - down, 0.55 * radius + 0.5 * down - 0.866 * right)
        return inside
    down = np.abs(down)
    long, short = np.float32(radius), np.float32(0.33 * radius)
    bars = np.minimum(long - right, short - down), np.minimum(short - right, long - down)
    cross: Floats = np.maximum(*bars)
    return cross


def paint_thing(image: Floats, thing: Thing) -> NDArray[np.bool_]:
    """Draw ``thing`` onto ``image`` [S, S, 3] and return its mask [S, S]."""
    depth = thing_depth(thing, image.shape[0])
    mask = depth > 0
    colour = _colour(thing)
    image[mask] = colour
    image[mask & (depth < _OUTLINE)] = 0.55 * colour
    return mask


def stuff_colours(stuff: Stuff, size: int) -> Floats:
    """Fill an image with ``stuff``, [S, S, 3]: two dark tones of one colour in its pattern."""
    right, down = _rotated(size, stuff.x, stuff.y, stuff.angle)
    right, down = right / np.float32(stuff.cell), down / np.float32(stuff.cell)
    if stuff.cls.form == "stripes":
        high = (right % 1.0) < 0.5
    elif stuff.cls.form == "dots":
        high = (right % 1.0 - 0.5) ** 2 + (down % 1.0 - 0.5) ** 2 < 0.1
    elif stuff.cls.form == "checks":
        high = ((np.floor(right) + np.floor(down)) % 2) == 0
    else:
        high = np.zeros_like(right, dtype=bool)
    colour = _colour(stuff)
    low_tone, high_tone = (0.45, 0.45) if stuff.cls.form == "plain" else (0.3, 0.68)
    return np.where(high, np.float32(high_tone), np.float32(low_tone))[..., None] * colour


def develop(image: Floats, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Add camera effects to ``image`` [S, S, 3]: uneven light, soft edges and noise; returns RGB bytes."""
    x, y = grid(image.shape[0])
    slope = rng.uniform(-0.25, 0.25, 2).astype(np.float32)
    light = 1.0 + slope[0] * (x - 0.5) + slope[1] * (y - 0.5)
    soft = cv2.GaussianBlur(image * light[..., None], (3, 3), 0.6)
    noisy = rng.standard_normal(image.shape, dtype=np.float32)
    noisy *= np.float32(0.03)
    noisy += soft
    noisy *= 255.0
    noisy += 0.5
    picture: NDArray[np.uint8] = np.clip(noisy, 0, 255, out=noisy).astype(np.uint8)
    return picture
