"""The score of one prediction in one image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from scaseg_cli.data.records import Category, ImageRecord, Segment
from scaseg_cli.evaluation.scored_set import ScoredSet
from scaseg_cli.measures.fusion import Prediction
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.classes import class_list, write_classes
from scaseg_cli.visualization.scored_images import score_of

if TYPE_CHECKING:
    from pathlib import Path

CATEGORIES = [
    Category(0, "cat", True),
    Category(1, "cow", True),
    Category(2, "grass", False),
    Category(3, "sea", False),
]
CLASSES = class_list(CATEGORIES, ["cow"])
CAT, GRASS, SEA, COW = range(4)  # class ids
LABEL = np.array([[1, 1, 1, 1, 2, 2, 2, 2, 0, 0]])  # a cat, a cow, and two pixels without a label
RECORD = ImageRecord(7, "7.jpg", "7.png", 10, 1, (Segment(1, 0, 4, 0), Segment(2, 1, 4, 0)))


@pytest.fixture
def score(tmp_path: Path):
    """Score a prediction of the image, given as the class of each segment and a row of digits."""

    def call(recipe: str, row: str, class_ids: list[int], only_unseen: bool = False) -> float:
        run = RunDir(tmp_path / "run")
        write_classes(run, "zps", CLASSES)
        found = Prediction(np.array([[int(sign) for sign in row]], np.int32), np.array(class_ids, np.int64))
        return score_of(ScoredSet(load_recipe(recipe), run, "validation"), RECORD, LABEL, found, only_unseen)

    return call


def test_panoptic_quality_is_averaged_over_the_present_classes(score) -> None:
    # the cat with IoU 3/4, a missed cow, sea as a false positive
    assert score("shapes-zps", "1110222200", [CAT, SEA]) == pytest.approx((0.75 + 0 + 0) / 3, abs=1e-9)
    assert score("shapes-zps", "1111222200", [CAT, COW]) == 1.0
    assert score("shapes-zps", "1111222200", [CAT, SEA], only_unseen=True) == 0.0
    assert score("shapes-zps", "0000111011", [COW], only_unseen=True) == pytest.approx(0.75, abs=1e-9)


def test_iou_is_averaged_over_the_present_classes(score) -> None:
    assert score("shapes-zss", "1112111122", [CAT, COW]) == pytest.approx((3 / 8 + 0) / 2)
    # cat 4/5, cow 3/4; grass has no labelled pixel
    assert score("shapes-zss", "1111122233", [CAT, COW, GRASS]) == pytest.approx((4 / 5 + 3 / 4) / 2)
    assert score("shapes-zss", "1111122233", [CAT, COW, GRASS], only_unseen=True) == pytest.approx(3 / 4)


def test_pixels_without_a_prediction_are_missed(score) -> None:
    assert score("shapes-zss", "1100222200", [CAT, COW]) == pytest.approx((2 / 4 + 1) / 2)
    assert score("shapes-zss", "0000000000", []) == 0.0


def test_without_a_class_that_counts_there_is_no_score(tmp_path: Path) -> None:
    empty = ImageRecord(8, "8.jpg", "8.png", 10, 1, ())
    run = RunDir(tmp_path / "run")
    write_classes(run, "zps", CLASSES)
    nothing = Prediction(np.zeros((1, 10), np.int32), np.zeros(0, np.int64))
    for recipe in ("shapes-zps", "shapes-zss"):
        scored = ScoredSet(load_recipe(recipe), run, "validation")
        assert math.isnan(score_of(scored, empty, np.zeros((1, 10), np.int64), nothing, False))
