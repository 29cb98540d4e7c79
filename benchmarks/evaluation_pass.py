"""Compare the evaluation of a run, for one and for eight classifiers, with the passes of its network alone.

    python benchmarks/evaluation_pass.py --device cuda --size published

Images are synthetic and weights random. Wall-clock time is measured: images are read beside the network.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from cat_live import IMAGES, RECIPES, finished_run
from measuring import Outcome, in_turns, machine_of, prepare, run_benchmark

from scaseg_cli.base.classifier import load_classifier
from scaseg_cli.evaluation.candidates import Candidate
from scaseg_cli.evaluation.score import score
from scaseg_cli.evaluation.scored_set import ScoredSet

if TYPE_CHECKING:
    import argparse

NUM_IMAGES = {("cuda", "published"): 32, ("cpu", "published"): 2, ("cpu", "small"): 16, ("cuda", "small"): 32}


def measure(options: argparse.Namespace) -> Outcome:
    """Make a run folder and time the passes in turns."""
    prepare(options.device)
    num_images = NUM_IMAGES[options.device, options.size]
    rounds = options.rounds or (3 if options.device == "cuda" else 2)
    with finished_run(options.size, options.device, 4, num_images) as (recipe, run, _):
        scored = ScoredSet(recipe, run, "validation")
        classifier = load_classifier(recipe, run)
        classifier = classifier.to(scored.segmentor.device).requires_grad_(False).eval()

        def network_alone() -> None:
            for batch in scored.batches(scored.images.images, "network"):
                scored.segmentor.encode([item.image_HW3 for item in batch])

        def scoring(number: int) -> None:
            candidates = [Candidate(f"{i}", classifier, 0.25 * i) for i in range(number)]
            score(scored, [(recipe, candidates)])

        ways = {"network": network_alone, "1": lambda: scoring(1), "8": lambda: scoring(8)}
        timings = in_turns(ways, rounds, options.device, time.perf_counter)
    return Outcome(
        benchmark="evaluation_pass",
        device=options.device,
        size=options.size,
        ratio_of="evaluation of one classifier / the network alone",
        ratio=timings.ratio("1", "network"),
        goal=None,
        figures={
            "the network alone, s per image": timings.median("network") / num_images,
            "one classifier, s per image": timings.median("1") / num_images,
            "8 classifiers, s per image": timings.median("8") / num_images,
            "8 classifiers / the network alone": timings.ratio("8", "network"),
        },
        notes=(
            f"{num_images} images of {IMAGES[options.size][0]} x {IMAGES[options.size][1]} pixels, the network of the "
            f"recipe {RECIPES[options.size]}.",
        ),
        machine=machine_of(options.device),
    )


if __name__ == "__main__":
    sys.exit(run_benchmark("Evaluation", ("cpu", "cuda"), measure))
