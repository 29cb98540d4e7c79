"""The page of choices without an unseen label: the target is worded by rule, whichever way it comes out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from benchmark_files import benchmark

from scaseg_cli.recipe import load_recipe

if TYPE_CHECKING:
    from types import ModuleType

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture
def made() -> ModuleType:
    return benchmark("choices_page")


def figures(transductive: float, control: float) -> dict[str, Any]:
    def row(value: float) -> dict[str, Any]:
        of_groups = dict.fromkeys(("seen", "unseen", "harmonic"), value)
        return of_groups | {f"harmonic_{end}": value + by for end, by in (("low", -0.1), ("high", 0.05))}

    names = ("base-best-increment", "control", "control-best-increment")
    return {
        "rows": {name: row(control) for name in names} | {"transductive": row(transductive)},
        "seconds": {"base": 100.0, "folds": 250.0, "choose": 50.0},
        "chosen": {
            "values": {"beta": 0.5, "noise": "none", "unseen_weight": None},
            "method": {"step": 50, "increment": 0.0},
            "method_increment": {"step": 100, "increment": 0.5},
        },
        "versions": dict.fromkeys(("scaseg", "python", "torch", "mmdet", "numpy"), "1.0"),
    }


def test_the_target_is_met_or_missed_by_the_means(made: ModuleType) -> None:
    found = {
        "shapes-zps/hand/0": figures(0.56, 0.48),
        "shapes-zps/hand/1": figures(0.54, 0.50),
        "shapes-zps/folds/0": figures(0.55, 0.47),
        "shapes-zps/folds/1": figures(0.53, 0.49),
        "shapes-zps/nothing/0": figures(0.3, 0.4),
        "shapes-zss/hand/0": figures(0.56, 0.48),
        "shapes-zss/folds/0": figures(0.52, 0.5),
    }
    text = made.page(found)
    met = "at most 1.5 points under the hand-tuned (+1.0) and at least 3.0 above the better control (+5.0): met."
    assert f"Target, mean of 2 seeds: {met}" in text
    assert "(+4.0) and at least 3.0 above the better control (+2.0): missed." in text
    assert "| chosen on folds of seen classes | transductive | 54.0 ± 1.4 |" in text.replace("**", "")
    assert "| 0 | 0.500 | none | - | 50 | 0.500 | 300 | 100 |" in text


def test_without_folds_there_is_no_verdict(made: ModuleType) -> None:
    text = made.page({"shapes-zps/hand/0": figures(0.56, 0.48)})
    assert "The target needs a seed with both" in text
    assert "Nothing has run yet" in made.page({})


def test_the_variants_are_recipes(made: ModuleType) -> None:
    for recipe in made.RECIPES:
        for changes in made.VARIANTS.values():
            load_recipe(recipe, changes)
    assert load_recipe("shapes-zps", made.VARIANTS["folds"]).auto_keys == [
        "union.unseen_pull.beta",
        "union.unseen_weight",
        "cat.noise",
    ]


def test_the_committed_page_is_that_of_the_committed_figures(made: ModuleType) -> None:
    found = json.loads((DOCS / "choices.json").read_text(encoding="utf-8"))
    assert made.page(found) == (DOCS / "choices-benchmark.md").read_text(encoding="utf-8")
