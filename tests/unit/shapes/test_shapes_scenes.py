"""Drawn scenes: masks, visibility, and one random stream per scene."""

import numpy as np
import pytest

from scaseg_cli.shapes.drawing import Thing, paint_thing, random_stuff, stuff_colours
from scaseg_cli.shapes.scenes import MIN_VISIBLE, draw_scene
from scaseg_cli.shapes.world import CLASSES, STUFF, THINGS

BY_NAME = {cls.name: cls for cls in CLASSES}


def _scene(seed: int, num_things: tuple[int, int] = (1, 4), size: int = 64):
    return draw_scene(np.random.default_rng(seed), size, num_things, THINGS, STUFF)


@pytest.mark.parametrize("size", [32, 64])
def test_every_segment_is_visible_and_every_pixel_has_one(size: int) -> None:
    dropped = 0
    for seed in range(60):
        scene = _scene(seed, (5, 5), size)
        visible = np.bincount(scene.index.ravel())
        assert len(visible) == len(scene.classes)
        assert visible.min() >= MIN_VISIBLE
        dropped += 5 - sum(cls.isthing for cls in scene.classes)
    if size == 32:
        assert dropped > 0  # otherwise nothing was hidden, and the assertion above tested nothing


def test_each_kind_of_stuff_is_one_segment_a_scene() -> None:
    for seed in range(60):
        stuff = [cls.name for cls in _scene(seed).classes if not cls.isthing]
        assert 1 <= len(stuff) <= 3
        assert len(set(stuff)) == len(stuff)


def test_scenes_differ_and_the_same_seed_gives_the_same() -> None:
    first, again, other = _scene(1), _scene(1), _scene(2)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.index, again.index)
    assert first.classes == again.classes
    assert (first.image != other.image).any()


@pytest.mark.parametrize(
    ("shape", "area"),
    [("ring", np.pi * (1 - 0.48**2)), ("square", 4 * 0.84**2), ("triangle", 1.1**2 * 1.299), ("cross", 4 * 0.5511)],
)
def test_things_have_the_area_of_their_shape(shape: str, area: float) -> None:
    image = np.zeros((256, 256, 3), np.float32)
    thing = Thing(BY_NAME[f"blue {shape}"], 0.5, 0.5, 0.3, 0.3, (1.0, 1.0, 1.0))
    mask = paint_thing(image, thing)
    assert mask.sum() == pytest.approx(area * (0.3 * 256) ** 2, rel=0.03)
    assert (image[mask, 2] > image[mask, 0]).all()
    assert not image[~mask].any()


def test_a_ring_shows_what_is_behind_its_hole() -> None:
    image = np.zeros((64, 64, 3), np.float32)
    mask = paint_thing(image, Thing(BY_NAME["red ring"], 0.5, 0.5, 0.2, 0.0, (1.0, 1.0, 1.0)))
    assert not mask[32, 32]
    assert mask[32].any()


def test_patterns_have_two_tones_and_plain_has_one() -> None:
    for cls in STUFF:
        image = stuff_colours(random_stuff(np.random.default_rng(3), cls), 64)
        tones = np.unique(image.reshape(-1, 3), axis=0)
        assert len(tones) == (1 if cls.form == "plain" else 2), cls.name
