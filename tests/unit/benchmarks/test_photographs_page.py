"""The page of the photographs' figures: means, spreads, targets and comparisons by rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from benchmark_files import benchmark

if TYPE_CHECKING:
    from types import ModuleType


@pytest.fixture
def made() -> ModuleType:
    return benchmark("photographs_page")


def figures(seen: float, unseen: float, harmonic: float, control: float) -> dict[str, Any]:
    def row(value: float) -> dict[str, Any]:
        of_groups = {"seen": seen, "unseen": unseen, "harmonic": value}
        return of_groups | {f"harmonic_{end}": value + by for end, by in (("low", -0.1), ("high", 0.05))}

    names = ("base", "inductive", "control", "transductive", "transductive-best-increment")
    rows = {name: row(harmonic) for name in names} | {
        name: row(control) for name in ("base-best-increment", "control-best-increment")
    }
    neighbour = {"unseen": "cat", "seen": "dog", "seen_before": seen, "seen_after": 0.0}
    return {
        "rows": rows,
        "neighbours": [neighbour | {"unseen_before": None, "unseen_after": unseen}],
        "versions": dict.fromkeys(("scaseg", "python", "torch", "mmdet", "numpy"), "1.0"),
    }


def test_a_page_of_two_seeds(made: ModuleType) -> None:
    text = made.page(
        {
            "msrc-zss/recipe/0": figures(0.7, 0.2, 0.3, 0.4),
            "msrc-zss/recipe/1": figures(0.74, 0.1, 0.2, 0.5),
            "msrc-zss/random/0": figures(0.7, 0.04, 0.08, 0.0),
            "msrc-zps-near/recipe/0": figures(0.5, 0.2, 0.3, 0.1),
        }
    )
    assert "| msrc-zss, base: sIoU | at least 70 | 72.0 ± 2.8 | 2 | met |" in text
    assert "| msrc-zss, random vectors: uIoU | at most 3 | 4.0 | 1 | missed |" in text
    assert "| msrc-zps-near, base: sPQ | at least 58 | 50.0 | 1 | missed |" in text
    assert "| generator as published | 72.0 ± 2.8 | 15.0 ± 7.1 | 25.0 ± 7.1 | 15.0 - 30.0 | 2 |" in text
    said = "is below *the better control* in 2 of 2 seeds; the mean difference in hIoU is -20.0 points"
    assert f"*Generator as published* {said}" in text
    assert "| cat | 0.0 | 15.0 | dog | 72.0 | 0.0 |" in text
    assert "no ImageNet weights" not in text.partition("msrc-zps-near")[2]


def test_nothing_has_run_yet(made: ModuleType) -> None:
    assert "Nothing has run yet" in made.page({})
