"""Intervals over images, against one draw after another with the measure's own counts."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from scaseg_cli.measures import bootstrap
from scaseg_cli.measures.bootstrap import Bootstrap, ImageCounts, pairs_of
from scaseg_cli.measures.panoptic import PanopticMeasure
from scaseg_cli.measures.semantic import SemanticMeasure

if TYPE_CHECKING:
    from numpy.typing import NDArray

IS_SEEN = np.array([True, True, True, False, False])
MEASURES = {
    "semantic": SemanticMeasure(IS_SEEN),
    "panoptic": PanopticMeasure(IS_SEEN, np.array([True, False, True, False, True])),
    "with absent": SemanticMeasure(IS_SEEN, with_absent=True),
}
NUM_IMAGES, DRAWS = 9, 40


def made_up(measure: Any, seed: int) -> list[Any]:
    """Counts of a few images, each with some of the classes."""
    drawn = np.random.default_rng(seed)
    found = []
    for _ in range(NUM_IMAGES):
        counts = measure.new_counts()
        classes = drawn.choice(len(IS_SEEN), size=2, replace=False)
        if isinstance(measure, PanopticMeasure):
            counts.array[:3, classes] = drawn.integers(0, 3, (3, 2))
            counts.array[3, classes] = counts.array[0, classes] * drawn.integers(2**39, 2**40, 2)
        else:
            counts.add_counts(classes, classes, drawn.integers(0, 50, (2, 2)))
        found.append(counts)
    return found


def kept(measure: Any, images: list[Any]) -> ImageCounts:
    pairs = [pairs_of(place, measure.by_class(counts)) for place, counts in enumerate(images)]
    return ImageCounts(len(images), np.concatenate(pairs[::-1]))


def slowly(measure: Any, images: list[Any]) -> NDArray[np.float64]:
    """Harmonic means of the draws, each summed image by image."""
    chosen = np.random.default_rng(0).multinomial(NUM_IMAGES, [1 / NUM_IMAGES] * NUM_IMAGES, size=DRAWS)
    values = []
    for weights in chosen:
        total = measure.new_counts()
        for weight, counts in zip(weights, images, strict=True):
            total.array += weight * counts.array
        values.append(measure.summarise(total).harmonic)
    return np.array(values)


@pytest.mark.parametrize("name", MEASURES)
def test_intervals_equal_those_of_one_draw_after_another(name: str) -> None:
    measure: Any = MEASURES[name]
    ours, control = made_up(measure, 1), made_up(measure, 2)
    found = Bootstrap(measure, {"ours": kept(measure, ours), "control": kept(measure, control)}, draws=DRAWS)
    of_ours, of_control = slowly(measure, ours), slowly(measure, control)
    for values, interval in (
        (of_ours, found.interval("ours", "harmonic")),
        (of_ours - of_control, found.interval("ours", "harmonic", less="control")),
    ):
        expected = np.nanpercentile(values, (2.5, 97.5))
        np.testing.assert_allclose((interval.low, interval.high), expected, rtol=1e-12, atol=1e-15)
        assert interval.low < interval.high


@pytest.mark.parametrize("name", MEASURES)
def test_the_sums_of_all_images_give_the_measure_itself(name: str) -> None:
    measure: Any = MEASURES[name]
    images = made_up(measure, 3)
    total = measure.new_counts()
    for counts in images:
        total.array += counts.array
    sums = kept(measure, images).dense(len(IS_SEEN)).sum(0).astype(float)
    expected = measure.summarise(total).per_class[measure.quantities[0].key]
    np.testing.assert_array_equal(
        np.nan_to_num(measure.main_of(sums)) if measure.with_absent else measure.main_of(sums),
        np.nan_to_num(expected) if measure.with_absent else expected,
    )


@pytest.mark.parametrize("name", MEASURES)
def test_images_and_draws_in_blocks_give_the_same_values(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    measure: Any = MEASURES[name]
    counts = {"ours": kept(measure, made_up(measure, 1))}
    whole = Bootstrap(measure, counts, draws=DRAWS)
    monkeypatch.setattr(bootstrap, "_BLOCK", 2 * DRAWS)  # two images
    monkeypatch.setattr(bootstrap, "_DRAWS_AT_ONCE", 7)
    parted = Bootstrap(measure, counts, draws=DRAWS)
    for group in bootstrap.GROUPS:
        assert parted.interval("ours", group) == whole.interval("ours", group)


def test_memory_does_not_grow_with_images_and_classes_at_once() -> None:
    num_classes, num_images = 400, 6000  # all counts at once: 58 MB as integers, and again as numbers
    measure = SemanticMeasure(np.arange(num_classes) < 300)
    images, classes = np.arange(num_images).repeat(4), np.arange(4 * num_images) % num_classes
    counts = ImageCounts(num_images, np.column_stack((images, classes, *np.ones((3, 4 * num_images), np.int64))))
    tracemalloc.start()
    found = Bootstrap(measure, {"one": counts}, draws=20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.interval("one", "seen") == (1.0, 1.0)
    assert peak < 30e6


def test_classes_that_no_image_has_give_no_interval() -> None:
    measure = SemanticMeasure(IS_SEEN)
    images = [measure.new_counts() for _ in range(2)]
    for counts in images:
        counts.array[:, 0] = 5
    found = Bootstrap(measure, {"one": kept(measure, images)})
    assert found.interval("one", "seen") == (1.0, 1.0)
    assert np.isnan(found.interval("one", "unseen")).all()
    assert np.isnan(found.interval("one", "harmonic")).all()


def test_classifiers_of_other_images_are_refused() -> None:
    empty = np.empty((0, 5), np.int64)
    with pytest.raises(ValueError, match=r"counts of \[2, 3\] images"):
        Bootstrap(SemanticMeasure(IS_SEEN), {"a": ImageCounts(2, empty), "b": ImageCounts(3, empty)})
