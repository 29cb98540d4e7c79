"""Run the embedded world with choices on unseen labels, on folds of seen classes, and on nothing; write the page.

    python benchmarks/choices.py --seeds 0,1,2 --folder runs/choices --jobs 2

The same command resumes. Figures of finished runs are added to docs/choices.json as they come, and the page
docs/choices-benchmark.md is made from that file, so that it can be made in several goes. ``--page-only`` makes the page
without a run, ``--only RECIPE`` runs one recipe. Runs of a seed share their base model, and those of a recipe the data.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from choices_page import COMMON, RECIPES, VARIANTS, page
from kept_figures import options_of, run_by_seed
from shapes import Job

from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = Path(__file__).parents[1] / "docs" / "choices-benchmark.md"


def make_jobs(options: argparse.Namespace, seeds: Iterable[int]) -> dict[str, Job]:
    """Make a job for each seed, recipe and variant, by its name in the file of figures.

    Raises:
        ScasegError: a recipe has mistakes.
    """
    jobs = {}
    for seed, recipe, (variant, changes) in itertools.product(seeds, RECIPES, VARIANTS.items()):
        if options.only and recipe not in options.only:
            continue
        run = RunDir(options.folder / recipe / f"seed-{seed}" / variant)
        assignments = (*COMMON, *options.changes, f"seed={seed}", *changes)
        arguments = ["--recipe", recipe, "--work-dir", str(run.path)]
        for assignment in assignments:
            arguments += ["--set", assignment]
        name = f"{recipe}/{variant}/{seed}"
        jobs[name] = Job(f"{recipe}, {variant}", seed, load_recipe(recipe, assignments), tuple(arguments), run)
    return jobs


def main(arguments: list[str] | None = None) -> int:
    """Run what remains, keep the figures, and write the page; return the exit code."""
    parser = argparse.ArgumentParser(description="Choices without an unseen label on the embedded world.")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE", help="as in scaseg")
    options = options_of(parser, arguments, Path("runs/choices"), RECIPES, PAGE)
    return run_by_seed(options, lambda seeds: make_jobs(options, seeds), page)


if __name__ == "__main__":
    sys.exit(main())
