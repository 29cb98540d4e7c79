"""Draws scenes: one to three regions of stuff that fill the image, with overlapping things on top."""

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

MIN_VISIBLE = 12  # pixels; a segment with fewer is removed from the image and the label


@dataclass(frozen=True)
class Scene:
    """An image with its panoptic label.

    Attributes:
        image: [S, S, 3] RGB.
        index: [S, S], the index of each pixel's segment in ``classes``.
        classes: the class of each segment; each segment has at least `MIN_VISIBLE` pixels.
    """

    image: NDArray[np.uint8]
    index: NDArray[np.int32]
    classes: tuple[ShapeClass, ...]


def _place_things(rng: np.random.Generator, num_things: int, classes: Sequence[ShapeClass]) -> list[Thing]:
    placed: list[Thing] = []
    for _ in range(num_things):
        cls = classes[int(rng.integers(len(classes)))]
        for _attempt in range(8):  # things may overlap, but one must not cover another
            thing = random_thing(rng, cls)
            if all(np.hypot(thing.x - old.x, thing.y - old.y) > 0.75 * (thing.radius + old.radius) for old in placed):
                break
        placed.append(thing)
    return placed


def _place_stuff(rng: np.random.Generator, classes: Sequence[ShapeClass]) -> list[Stuff]:
    chosen = rng.choice(len(classes), size=rng.integers(1, 4), replace=False)  # one segment per class, as in COCO
    return [random_stuff(rng, classes[i]) for i in chosen]


def _compose(stuff: Sequence[Stuff], things: Sequence[Thing], size: int) -> tuple[Floats, NDArray[np.int32]]:
    """Draw the image and its segment index: first the stuff in order, then the things from back to front."""
    x, y = grid(size)
    distance = np.stack([np.hypot(x - np.float32(part.x), y - np.float32(part.y)) for part in stuff])
    index = distance.argmin(0).astype(np.int32)
    image = np.empty((size, size, 3), np.float32)
    for place, part in enumerate(stuff):
        np.copyto(image, stuff_colours(part, size), where=(index == place)[..., None])
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
    """Draw one scene of ``size`` x ``size`` pixels.

    Args:
        rng: the only source of randomness.
        size: S.
        num_things: minimum and maximum number of things; hidden ones are dropped.
        things: classes of the things, drawn uniformly.
        stuff: classes of the stuff; one to three distinct ones fill the rest.
    """
    parts = _place_stuff(rng, stuff)
    bodies = _place_things(rng, int(rng.integers(num_things[0], num_things[1] + 1)), things)
    while True:
        image, index = _compose(parts, bodies, size)
        visible = np.bincount(index.ravel(), minlength=len(parts) + len(bodies))
        least = int(visible.argmin())
        if visible[least] >= MIN_VISIBLE:
            break
        # Removing the least visible one uncovers others: repeat. The last stuff stays, and a thing is removed instead.
        if least >= len(parts):
            del bodies[least - len(parts)]
        elif len(parts) > 1:
            del parts[least]
        else:
            bodies.pop()
    classes = tuple(part.cls for part in parts) + tuple(body.cls for body in bodies)
    return Scene(develop(image, rng), index, classes)
