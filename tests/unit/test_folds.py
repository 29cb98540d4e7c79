"""The division of seen classes and training images into folds, and the choice by their means."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scaseg_cli.choose.choose import best_of, fold_means
from scaseg_cli.choose.cost import cost_of
from scaseg_cli.data.records import Category, ImageRecord, LabelledSet, Segment
from scaseg_cli.errors import ScasegError
from scaseg_cli.fold_choice import Values, tried_values, values_of
from scaseg_cli.folds.division import divide, training_ids
from scaseg_cli.recipe import load_recipe
from scaseg_cli.recipe.schema import Folds
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.classes import ClassList, class_list

if TYPE_CHECKING:
    from collections.abc import Sequence

NUM_THINGS, NUM_CLASSES = 8, 12
CATEGORIES = tuple(Category(i, f"class {i}", i < NUM_THINGS) for i in range(NUM_CLASSES))
AUTO = ("union.unseen_pull.beta=auto", "cat.noise=auto", "choose.beta=[0,0.5]")


def classes(*unseen: int) -> ClassList:
    return class_list(CATEGORIES, [f"class {i}" for i in unseen])


def images(shown: Sequence[Sequence[int]]) -> LabelledSet:
    records = tuple(
        ImageRecord(i, f"{i}.png", f"{i}.png", 8, 8, tuple(Segment(c + 1, c, 1) for c in found))
        for i, found in enumerate(shown)
    )
    return LabelledSet(Path("images"), Path("labels"), CATEGORIES, records)


def pairs(number: int = 100) -> LabelledSet:
    """Every image shows two of the seen classes 0..8, in turn, so that no class is common."""
    return images([(i % 9, (i + 4) % 9) for i in range(number)])


def test_folds_hold_out_things_and_stuff_as_they_are_unseen() -> None:
    # unseen: one thing of eight, two of four kinds of stuff; seen: seven things and two kinds of stuff
    own = images([(i % 7, 7 + 1 + i % 2) for i in range(100)])
    found = divide(Folds(number=2, images=50), classes(7, 10, 11), own)
    assert len(found.set_aside) == 20  # a fifth
    for names in found.held_out:
        assert [name in {"class 8", "class 9"} for name in names] == [False, True]
    assert not set(found.held_out[0]) & set(found.held_out[1])
    assert divide(Folds(number=2, images=50), classes(7, 10, 11), own) == found


def test_common_classes_are_held_out_last() -> None:
    own = images([(0,) if i % 2 else (i // 2 % 6 + 1,) for i in range(600)])
    held = {name for names in divide(Folds(number=3, classes=2), classes(7), own).held_out for name in names}
    assert len(held) == 6
    assert "class 0" not in held


def test_a_division_without_enough_classes_or_images_is_refused() -> None:
    with pytest.raises(ScasegError, match=r"5 folds hold out 2 things each, and the \d+ training images"):
        divide(Folds(number=5, classes=2), classes(7), images([(i % 7,) for i in range(100)]))
    with pytest.raises(ScasegError, match="4 training images are too few"):
        divide(Folds(), classes(9), pairs(4))


def test_at_least_one_class_is_held_out() -> None:
    few = class_list(CATEGORIES[:3], ["class 0"])
    own = images([(1 + i % 2,) for i in range(40)])
    assert len(divide(Folds(number=1, classes=1), few, own).held_out[0]) == 1


def test_training_leaves_out_what_is_set_aside_and_by_task_what_shows_held_out_classes() -> None:
    own = images([(0,), (1,), (0, 1), (2,), (1, 2)])
    assert training_ids(own, [3], [1], keeps_unseen=False) == [0]
    assert training_ids(own, [3], [1], keeps_unseen=True) == [0, 2, 4]
    with pytest.raises(ScasegError, match="no training image left"):
        training_ids(own, [0], [1, 2], keeps_unseen=False)


def figure(model: str, step: int, increment: float, harmonic: float | None) -> Any:
    return {"model": model, "step": step, "increment": increment, "harmonic": harmonic, "seen": None, "unseen": None}


VALUES = [Values(beta=beta, noise="none", unseen_weight=1.0) for beta in (0.0, 0.5)]


def test_the_best_mean_is_taken_and_increments_are_chosen_for_its_values() -> None:
    def fold(first: float, second: float) -> list[list[Any]]:
        base = [figure("base", 0, 0.0, 0.1), figure("base", 0, 1.0, 0.2)]
        control = [figure("control", 5, 1.0, 0.3)]
        one = [figure("method", 5, 0.0, first), figure("method", 5, 2.0, 0.99)]
        two = [figure("method", 5, 0.0, 0.1), figure("method", 10, 0.0, second), figure("method", 10, 1.0, 0.9)]
        return [base + control + one, base + two]

    means = fold_means([fold(0.8, 0.5), fold(0.1, 0.6)])
    chosen = best_of(means, VALUES)
    assert chosen["values"]["beta"] == 0.5  # 0.55 against 0.45
    assert chosen["method"] == {"step": 10, "increment": 0.0}
    assert chosen["method_increment"] == {"step": 10, "increment": 1.0}  # not the 0.99 of other values
    assert chosen["base"] == {"step": 0, "increment": 1.0}
    assert chosen["control"] == {"step": 5, "increment": 1.0}


@pytest.mark.parametrize(
    ("last", "step"),
    [
        ((0.49, 0.54), 20),  # below by 0.01 and -0.02: the folds disagree
        ((0.47, 0.51), 10),  # by 0.03 and 0.01: a mean of 0.02 with a standard error of 0.01
        ((None, 0.51), 10),  # by 0.01 on one fold, which has no standard error
    ],
)
def test_the_latest_snapshot_counts_that_is_within_a_standard_error(last: tuple[float | None, ...], step: int) -> None:
    folds = [
        [
            [figure("base", 0, 0.0, 0.1), figure("method", 10, 0.0, best), figure("method", 20, 0.0, own)],
            [figure("method", 30, 0.0, 0.4)],  # of other values
        ]
        for best, own in zip((0.5, 0.52), last, strict=True)
    ]
    chosen = best_of(fold_means(folds), VALUES)
    assert (chosen["method"]["step"], chosen["method_increment"]["step"]) == (step, step)


def test_a_fold_without_a_figure_is_left_out_and_none_is_refused() -> None:
    both = [[[figure("base", 0, 0.0, 0.1), figure("method", 5, 0.0, None)], []],
            [[figure("base", 0, 0.0, 0.1), figure("method", 5, 0.0, 0.4)], []]]  # fmt: skip
    method = next(one for one in fold_means(both) if one.model == "method")
    assert method.harmonic == 0.4
    assert math.isnan(method.by_fold[0])
    with pytest.raises(ScasegError, match="do not show both seen and held-out classes"):
        best_of(fold_means(both[:1]), VALUES)


def test_only_keys_that_are_auto_are_varied(tmp_path: Path) -> None:
    recipe = load_recipe("shapes-zps", AUTO)
    tried = tried_values(recipe)
    assert {values["unseen_weight"] for values in tried} == {3.0}  # the recipe's
    assert len(tried) == 4
    cost = cost_of(recipe, RunDir(tmp_path))
    assert (cost.bases, cost.generators, cost.fine_tunings, cost.seconds) == (2, 4, 8, None)
    assert values_of(load_recipe("shapes-zps"), RunDir(tmp_path)) == {
        "beta": 0.5, "noise": "none", "unseen_weight": 3.0,
    }  # fmt: skip
    with pytest.raises(ScasegError, match=r"choice\.json"):
        values_of(recipe, RunDir(tmp_path))
