"""Compare scoring many classifiers of a panoptic run with enlarging all masks first, as scaseg did before.

    python benchmarks/panoptic_scoring.py --size published

The same made-up outputs of a segmentor are counted both ways, one thread, from the network's mask logits to the counts.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from made_up_outputs import STRIDE, made_up
from measuring import Goal, Outcome, Size, in_turns, machine_of, prepare, run_benchmark

from scaseg_cli.base.segmentor import Encoded
from scaseg_cli.evaluation.panoptic_inference import PanopticImage
from scaseg_cli.measures.fusion import FusionRule, MaskSet
from scaseg_cli.measures.panoptic_quality import PanopticQuality, PreparedLabel, prepare_label

if TYPE_CHECKING:
    import argparse

    from torch import Tensor

IMAGE = 480, 640
NETWORK: dict[Size, tuple[int, int]] = {"published": (800, 1067), "small": IMAGE}  # published: that of coco-zps
CLASSES, QUERIES = 133, 100
GOALS: dict[Size, dict[int, float]] = {"published": {8: 3, 104: 1.4}, "small": {8: 3, 104: 1.2}}
RULE = 0.8, 0.8  # object and overlap threshold
DIVISOR = 32


class Case(NamedTuple):
    """The outputs for one image, its label, and the class probabilities of each candidate."""

    encoded: Encoded
    label: PreparedLabel
    probabilities: list[Tensor]


def make_case(size: Size, num_candidates: int) -> Case:
    """Make the outputs of a segmentor for one image."""
    inside = NETWORK[size]
    outputs = made_up(CLASSES, QUERIES, inside, num_candidates)
    padded = -(-inside[0] // DIVISOR) * DIVISOR, -(-inside[1] // DIVISOR) * DIVISOR
    height, width = outputs.logits_Qhw.shape[1:]
    logits = F.pad(outputs.logits_Qhw, (0, padded[1] // STRIDE - width, 0, padded[0] // STRIDE - height))
    label_HW = cv2.resize(outputs.label_HW, IMAGE[::-1], interpolation=cv2.INTER_NEAREST_EXACT).astype(np.int32)
    ids = np.arange(1, len(outputs.class_ids_S) + 1)
    label = prepare_label(label_HW, ids, outputs.class_ids_S, np.zeros(len(ids), bool))
    return Case(Encoded(torch.zeros(QUERIES, 1), logits, padded, inside), label, outputs.probabilities)


def counts_before(case: Case) -> list[PanopticQuality]:
    """Count each candidate from the masks of all queries, as before."""
    encoded = case.encoded
    logits = F.interpolate(encoded.small_Qhw[None], encoded.padded, mode="bilinear", align_corners=False)
    inside = logits[:, :, : encoded.inside[0], : encoded.inside[1]]
    if encoded.inside != IMAGE:
        inside = F.interpolate(inside, IMAGE, mode="bilinear", align_corners=False)
    masks = MaskSet(inside[0].sigmoid().numpy())
    counts = [PanopticQuality(CLASSES) for _ in case.probabilities]
    scores_KQ, labels_KQ = (part.numpy() for part in torch.stack(case.probabilities).max(-1))
    rule = FusionRule(np.ones(CLASSES, bool), *RULE)
    for quality, scores_Q, labels_Q in zip(counts, scores_KQ, labels_KQ, strict=True):
        masks.add_to(quality, case.label, scores_Q, labels_Q, rule)
    return counts


def counts_now(case: Case) -> list[PanopticQuality]:
    """Count each candidate as `scaseg evaluate` does."""
    counts = [PanopticQuality(CLASSES) for _ in case.probabilities]
    image = PanopticImage(case.label, partial(case.encoded.masks, IMAGE), np.ones(CLASSES, bool))
    image.add(counts, case.probabilities, [RULE] * len(counts))
    return counts


def measure(options: argparse.Namespace) -> Outcome:
    """Time both ways in turns for several numbers of candidates."""
    prepare(options.device)
    figures, ratios = {}, {}
    for number in GOALS[options.size]:
        case = make_case(options.size, number)
        pairs = zip(counts_before(case), counts_now(case), strict=True)
        assert all((one.array == other.array).all() for one, other in pairs), "the counts differ"
        timings = in_turns(
            {"before": partial(counts_before, case), "now": partial(counts_now, case)}, options.rounds or 5
        )
        ratios[number] = timings.ratio("before", "now")
        figures[f"{number} candidates: before / now"] = ratios[number]
        figures[f"{number} candidates: before, s of CPU time"] = timings.median("before")
        figures[f"{number} candidates: now, s of CPU time"] = timings.median("now")
    goals = ", ".join(f"{goal:g} at {number}" for number, goal in GOALS[options.size].items())
    return Outcome(
        benchmark="panoptic_scoring",
        device=options.device,
        size=options.size,
        ratio_of="8 classifiers before / now",
        ratio=ratios[8],
        goal=Goal("at least", GOALS[options.size][8]),
        figures=figures,
        notes=(
            f"All after the network for one image of {IMAGE[1]} x {IMAGE[0]} pixels, of which the network gets "
            f"{NETWORK[options.size][1]} x {NETWORK[options.size][0]}; {QUERIES} queries, {CLASSES} classes, made-up "
            "outputs shaped like a trained model's. Before: the masks of all queries are enlarged. The counts are the "
            f"same. Goals: at least {goals} candidates.",
        ),
        machine=machine_of(options.device),
    )


if __name__ == "__main__":
    sys.exit(run_benchmark("Scoring many panoptic classifiers against enlarging all masks first", ("cpu",), measure))
