"""Compare the pass over the training images, which reads beside the network, with one that reads between its batches.

    python benchmarks/query_pass.py --device cuda --size published

Images are synthetic and weights random, neither of which changes the time. Wall-clock time is measured: reading beside
the network saves waiting, not work.
"""

from __future__ import annotations

import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

from cat_live import IMAGES, RECIPES, finished_run
from measuring import Outcome, in_turns, machine_of, prepare, run_benchmark

from scaseg_cli.base.segmentor import load_segmentor
from scaseg_cli.data.prefetch import prefetched
from scaseg_cli.queries.collect import QueryReader

if TYPE_CHECKING:
    import argparse

NUM_IMAGES = {("cuda", "published"): 64, ("cpu", "published"): 4, ("cpu", "small"): 32, ("cuda", "small"): 64}


def measure(options: argparse.Namespace) -> Outcome:
    """Make a run folder and time both ways in turns."""
    prepare(options.device)
    num_images = NUM_IMAGES[options.device, options.size]
    rounds = options.rounds or (3 if options.device == "cuda" else 2)
    with finished_run(options.size, options.device, num_images) as (recipe, run, _):
        reader = QueryReader(recipe, run, load_segmentor(recipe, run))
        size = min(recipe.queries.batch_size, num_images)
        keys = [[(image, image) for image in range(start, start + size)] for start in range(0, num_images, size)]

        def between() -> None:
            for batch in keys:
                reader.match(reader.load(batch), batch, "queries")

        def beside() -> None:
            with closing(prefetched(reader.load, keys, workers=1, depth=2)) as loaded:
                for views, batch in zip(loaded, keys, strict=True):
                    reader.match(views, batch, "queries")

        timings = in_turns({"between": between, "beside": beside}, rounds, options.device, time.perf_counter)
    return Outcome(
        benchmark="query_pass",
        device=options.device,
        size=options.size,
        ratio_of="reading beside the network / between its batches",
        ratio=timings.ratio("beside", "between"),
        goal=None,
        figures={
            "reading between, s per image": timings.median("between") / num_images,
            "reading beside, s per image": timings.median("beside") / num_images,
        },
        notes=(
            f"{num_images} images of {IMAGES[options.size][0]} x {IMAGES[options.size][1]} pixels, the network and the "
            f"crop of the recipe {RECIPES[options.size]}, batches of {size}.",
        ),
        machine=machine_of(options.device),
    )


if __name__ == "__main__":
    sys.exit(run_benchmark("The query pass", ("cpu", "cuda"), measure))
