"""Compare scoring many classifiers of a semantic run with multiplying each in full, as scaseg did before.

    python benchmarks/semantic_scoring.py --size published

The same made-up outputs of a segmentor are counted both ways, one thread; what is prepared once for an image is part of
the time. Size ``published`` has the 171 classes of COCO-Stuff, ``small`` those of CamVid.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from made_up_outputs import Kind, made_up
from measuring import Goal, Outcome, Size, in_turns, machine_of, prepare, run_benchmark
from torch import Tensor

from scaseg_cli.evaluation.semantic_inference import SemanticImage
from scaseg_cli.measures.mean_iou import Confusion, SemanticLabel, semantic_label

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

SETTINGS: dict[Size, tuple[int, int, tuple[int, int]]] = {
    "published": (171, 100, (480, 640)),
    "small": (11, 24, (360, 480)),
}
GOALS: dict[Size, dict[int, float]] = {"published": {104: 15, 8: 6, 1: 1.3}, "small": {104: 2.5, 8: 0.95, 1: 0.95}}
UNTRAINED = 4  # candidates
_BEFORE = 4  # candidates of many that are timed the old way: each takes the same time
_BLOCK = 2048


def classes_before(probabilities_QN1: Tensor, masks_QX: Tensor) -> np.ndarray:
    """The class of every pixel from the product in full, in float32, as before."""
    probabilities_NQ = probabilities_QN1[:, :-1].T.contiguous()
    num_classes, num_pixels = len(probabilities_NQ), masks_QX.shape[1]
    dtype = torch.uint8 if num_classes <= 256 else torch.int32
    codes_N1 = torch.arange(num_classes - 1, -1, -1, dtype=dtype)[:, None]
    code_X = torch.empty(num_pixels, dtype=dtype)
    for start in range(0, num_pixels, _BLOCK):
        block = slice(start, start + _BLOCK)
        sums = probabilities_NQ @ masks_QX[:, block]
        code_X[block] = ((sums == sums.amax(0)) * codes_N1).amax(0)
    return num_classes - 1 - code_X.numpy()


def counts_before(
    label: SemanticLabel, masks_QX: Tensor, probabilities: Sequence[Tensor], num_classes: int
) -> list[Confusion]:
    """Count each candidate as before."""
    counts = [Confusion(num_classes) for _ in probabilities]
    for confusion, probabilities_QN1 in zip(counts, probabilities, strict=True):
        confusion.add(label, classes_before(probabilities_QN1, masks_QX))
    return counts


def counts_now(
    label: SemanticLabel, masks_QX: Tensor, probabilities: Sequence[Tensor], num_classes: int
) -> list[Confusion]:
    """Count each candidate as `scaseg evaluate` does."""
    counts = [Confusion(num_classes) for _ in probabilities]
    SemanticImage(label, masks_QX).add(counts, probabilities, [()] * len(probabilities))
    return counts


def timed(size: Size, num_candidates: int, kind: Kind, rounds: int) -> tuple[float, float, float]:
    """Return the ratio, and the seconds for each candidate before and now.

    Raises:
        AssertionError: the counts differ in more than a pixel of a million.
    """
    num_classes, num_queries, image_size = SETTINGS[size]
    outputs = made_up(num_classes, num_queries, image_size, num_candidates, kind)
    label = semantic_label(outputs.label_HW, np.arange(1, len(outputs.class_ids_S) + 1), outputs.class_ids_S)
    masks_QX = outputs.masks_QHW().flatten(1)
    few = outputs.probabilities[:_BEFORE]
    before = counts_before(label, masks_QX, few, num_classes)
    now = counts_now(label, masks_QX, outputs.probabilities, num_classes)[: len(few)]
    moved = sum(int(np.abs(one.array - other.array).sum()) // 2 for one, other in zip(before, now, strict=True))
    assert moved <= max(len(few), len(few) * len(label.pixels_L) / 1e6), f"{moved} pixels have other classes"
    ways = {
        "before": partial(counts_before, label, masks_QX, few, num_classes),
        "now": partial(counts_now, label, masks_QX, outputs.probabilities, num_classes),
    }
    timings = in_turns(ways, rounds)
    each = num_candidates / len(few)
    return (
        timings.ratio("before", "now") * each,
        timings.median("before") / len(few),
        timings.median("now") / (num_candidates),
    )


def measure(options: argparse.Namespace) -> Outcome:
    """Time both ways in turns for several numbers of candidates, and for outputs that are not a trained model's."""
    prepare(options.device)
    rounds = options.rounds or (3 if options.size == "published" else 9)
    figures, ratios = {}, {}
    for number in GOALS[options.size]:
        ratios[number], before, now = timed(options.size, number, "trained", rounds)
        figures[f"{number} candidates: before / now"] = ratios[number]
        figures[f"{number} candidates: before, ms of CPU time each"] = 1000 * before
        figures[f"{number} candidates: now, ms of CPU time each"] = 1000 * now
    for kind in ("untrained", "tied"):
        figures[f"{kind} outputs, {UNTRAINED} candidates: before / now"] = timed(options.size, UNTRAINED, kind, rounds)[
            0
        ]
    num_classes, num_queries, (height, width) = SETTINGS[options.size]
    goals = ", ".join(f"{goal:g} at {number}" for number, goal in GOALS[options.size].items())
    most = max(GOALS[options.size])
    return Outcome(
        benchmark="semantic_scoring",
        device=options.device,
        size=options.size,
        ratio_of=f"{most} classifiers before / now",
        ratio=ratios[most],
        goal=Goal("at least", GOALS[options.size][most]),
        figures=figures,
        notes=(
            f"One image of {width} x {height} pixels, {num_queries} queries, {num_classes} classes, made-up outputs "
            f"shaped like a trained model's. Before: every classifier multiplied in full. Goals: at least {goals} "
            "candidates, and 0.85 for untrained and tied outputs.",
        ),
        machine=machine_of(options.device),
    )


if __name__ == "__main__":
    sys.exit(run_benchmark("Scoring many semantic classifiers against multiplying each in full", ("cpu",), measure))
