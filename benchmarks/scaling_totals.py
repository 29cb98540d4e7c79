"""Totals of a run on COCO, on ten times COCO, and with 1,000 classes, computed from the cost of one unit of work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from measuring import shown_number

if TYPE_CHECKING:
    from collections.abc import Mapping

_HOUR = 3600.0
_SEGMENTS, _EMPTY, _WIDTH, _BYTES = (
    11,
    10,
    256,
    4,
)  # of an image: matched and kept unmatched queries, and a query's size
_SCORED_ROWS = 8


@dataclass(frozen=True)
class Case:
    """What a total is computed for; the rest is as in the recipe coco-zps.

    Attributes:
        title: the case.
        classes: as in the names of the units.
        num_classes: all classes.
        times: the factor on the images of every list, and on the iterations of stages 1 and 2: as many epochs.
    """

    title: str
    classes: str
    num_classes: int
    times: int

    @property
    def train(self) -> int:
        """Training images; COCO keeps all but those with unseen classes, which this does not subtract."""
        return 118_287 * self.times

    @property
    def selection(self) -> int:
        """Selection images."""
        return 1000 * self.times

    @property
    def validation(self) -> int:
        """Validation images."""
        return 4000 * self.times


CASES = (
    Case("COCO", "133 classes", 133, 1),
    Case("ten times COCO", "133 classes", 133, 10),
    Case("1,000 classes", "1,000 classes", 1000, 1),
)
_FORMULAS = {
    "split-dataset": "images x time of one",
    "embed-classes": "classes x 8 templates x time of a prompt",
    "train-base": "iterations x 16 images x time of one image's step",
    "query pass": "training images x time of one",
    "train-cat": "iterations x time of a step",
    "union-finetune, steps": "2 x 80,000 iterations x time of a step; the control's is shorter",
    "union-finetune, choice": "selection images x (network + scoring 104 classifiers)",
    "evaluate": "validation images x (network + scoring 8 classifiers)",
}


def hours_of(case: Case, units: Mapping[str, float]) -> dict[str, float]:
    """CPU hours of each stage, on one core."""
    few, many = (units[f"scoring {number}, {case.classes}"] for number in (8, 104))
    seconds = {
        "split-dataset": (case.train + case.selection + case.validation) * units["split, image"],
        "embed-classes": case.num_classes * 8 * units["prompt"],
        "train-base": 140_350 * case.times * 16 * units["base step, image"],
        "query pass": case.train * units["query pass, image"],
        "train-cat": 36_875 * case.times * units[f"cat step, {case.classes}"],
        "union-finetune, steps": 2 * 80_000 * units[f"union step, {case.classes}"],
        "union-finetune, choice": case.selection * (units["network"] + many),
        "evaluate": case.validation * (units["network"] + few),
    }
    return {name: found / _HOUR for name, found in seconds.items()}


def gigabytes_of(case: Case, units: Mapping[str, float]) -> dict[str, float]:
    """GB of what grows with the data."""
    pairs = case.validation * _SEGMENTS * _SCORED_ROWS * 6 * 8  # six integers for each image, class and row
    return {
        "split-dataset: annotations in memory": case.train * units["split, GB per image"],
        "query file, on disk and in the memory of stages 2 and 3": case.train
        * (_SEGMENTS + _EMPTY)
        * _WIDTH
        * _BYTES
        / 1e9,
        "evaluate: counts by image, for the intervals": pairs / 1e9,
    }


def totals(units: Mapping[str, float]) -> list[str]:
    """The tables of computed totals, as lines of Markdown."""
    hours, sizes = ([of(case, units) for case in CASES] for of in (hours_of, gigabytes_of))
    titles = " | ".join(case.title for case in CASES)
    lines = [f"| stage, CPU hours on one core | {titles} | formula |", "|---|---:|---:|---:|---|"]
    for name, formula in _FORMULAS.items():
        lines.append(f"| {name} | " + " | ".join(shown_number(found[name]) for found in hours) + f" | {formula} |")
    lines += ["", f"| GB | {titles} |", "|---|---:|---:|---:|"]
    for name in sizes[0]:
        lines.append(f"| {name} | " + " | ".join(shown_number(found[name]) for found in sizes) + " |")
    lines += ["", "| unit at the published size | s of CPU time |", "|---|---:|"]
    lines += [f"| {name} | {shown_number(value)} |" for name, value in units.items() if "GB" not in name]
    return lines
