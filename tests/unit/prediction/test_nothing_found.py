"""Where nothing is found, the message says how near the model was, and names the option that shows more."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from scaseg_cli.prediction.model import Nearest
from scaseg_cli.prediction.nothing_found import how_near, what_it_knows
from scaseg_cli.prediction.sources import find_sources
from scaseg_cli.prediction.vocabulary import Vocabulary, VocabularyClass
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("red ring", "zebra")
CLASSES = Vocabulary(tuple(VocabularyClass(name, True, n, None if n else 0, not n) for n, name in enumerate(NAMES)))


@pytest.mark.parametrize("best", [0.731, 0.73, 0.5, 0.02, 0.0199, 0.0071, 0.0004])
def test_the_threshold_that_is_named_shows_the_nearest_query(best: float) -> None:
    said = how_near(Nearest(1, best, best, 0), CLASSES, 0.8)
    (named,) = re.findall(r"--object-threshold (\S+) shows more", said)
    assert best - 0.0101 <= float(named) < best
    assert f"largest class probability is {best:.2g}, of zebra; the object threshold is 0.8" in said


def test_a_lower_threshold_is_not_named_where_it_shows_nothing() -> None:
    said = how_near(Nearest(0, 0.04, None, 0), CLASSES, 0.8)
    assert "of red ring" in said
    assert "--object-threshold" not in said
    assert "--classes" in said


def test_queries_without_pixels_of_their_own_are_told_from_a_low_probability() -> None:
    assert "3 queries passed the object threshold 0.2, the nearest as zebra" in how_near(
        Nearest(1, 0.9, 0.9, 3), CLASSES, 0.2
    )


def test_a_model_of_drawn_shapes_says_so_before_a_photograph(tmp_path: Path) -> None:
    run, shapes = RunDir(tmp_path / "run"), load_recipe("shapes-zps")
    own, photo = run.path / "data" / "validation" / "1.png", tmp_path / "photo.jpg"
    for path in (own, photo):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert what_it_knows(shapes, run, find_sources([str(own)]), CLASSES) is None
    said = what_it_knows(shapes, run, find_sources([str(own), str(photo)]), CLASSES)
    assert said is not None
    assert "drawings of shapes alone" in said
    assert "looks for red ring." in said
    assert what_it_knows(load_recipe("coco-zps"), run, find_sources([str(photo)]), CLASSES) is None
