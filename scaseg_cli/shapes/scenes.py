"""Scenes: one to three regions of stuff that fill the image, and things that overlap on top of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scaseg_cli.shapes.drawing import (
    Floats,
    Stuff,
    Thing,
    develop,
    grid,
    paint_thing,
    random_stuff,
    random_thing,
    stuff_colours,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scaseg_cli.shapes.world import ShapeClass

MIN_VISIBLE = 12  # pixels; what shows less of itself is taken out of the scene, image and label alike


@dataclass(frozen=True)
class Scene:
    """An image with its panoptic label.

    Attributes:
        image: [S, S, 3] RGB.
        index: [S, S], for each pixel the place of its segment in ``classes``.
        classes: one class a segment; each segment has at least `MIN_VISIBLE` pixels.
    """

    image: NDArray[np.uint8]
    index: NDArray[np.int32]
    classes: tuple[ShapeClass, ...]


def _place_things(rng: np.random.Generator, num_things: int, classes: Sequence[ShapeClass]) -> list[Thing]:
    placed: list[Thing] = []
    for _ in range(num_things):
        cls = classes[int(rng.integers(len(classes)))]
        for _attempt in range(8):  # overlaps are wanted, one thing right on another is not
            thing = random_thing(rng, cls)
            if all(np.hypot(thing.x - old.x, thing.y - old.y) > 0.75 * (thing.radius + old.radius) for old in placed):
                break
        placed.append(thing)
    return placed


def _place_stuff(rng: np.random.Generator, classes: Sequence[ShapeClass]) -> list[Stuff]:
    chosen = rng.choice(len(classes), size=rng.integers(1, 4), replace=False)  # a class is one segment, as in COCO
    return [random_stuff(rng, classes[i]) for i in chosen]


def _compose(stuff: Sequence[Stuff], things: Sequence[Thing], size: int) -> tuple[Floats, NDArray[np.int32]]:
    """The image and its segment index: first the stuff in order, then the things from back to front."""
    x, y = grid(size)
    distance = np.stack([np.hypot(x - np.float32(part.x), y - np.float32(part.y)) for part in stuff])
    index = distance.argmin(0).astype(np.int32)
    image = np.empty((size, size, 3), np.float32)
    for place, part in enumerate(stuff):
        region = index == place
        image[region] = stuff_colours(part, size)[region]
    for place, thing in enumerate(things, start=len(stuff)):
        index[paint_thing(image, thing)] = place
    return image, index


def draw_scene(
    rng: np.random.Generator,
    size: int,
    num_things: tuple[int, int],
    things: Sequence[ShapeClass],
    stuff: Sequence[ShapeClass],
) -> Scene:
    """One scene of ``size`` pixels a side.

    Args:
        rng: the only source of chance.
        size: S.
        num_things: least and most number of things; some may drop out because others hide them.
        things: classes of which things are drawn, each as likely as any other.
        stuff: classes of which one to three different ones fill the rest.
    """
    parts = _place_stuff(rng, stuff)
    bodies = _place_things(rng, int(rng.integers(num_things[0], num_things[1] + 1)), things)
    while True:
        image, index = _compose(parts, bodies, size)
        visible = np.bincount(index.ravel(), minlength=len(parts) + len(bodies))
        least = int(visible.argmin())
        if visible[least] >= MIN_VISIBLE:
            break
        # Taking out the least visible one uncovers others, so look again. The last stuff stays: a thing goes instead.
        if least >= len(parts):
            del bodies[least - len(parts)]
        elif len(parts) > 1:
            del parts[least]
        else:
            bodies.pop()
    classes = tuple(part.cls for part in parts) + tuple(body.cls for body in bodies)
    return Scene(develop(image, rng), index, classes)
