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
from typing import TYPE_CHECKING, Any

from choices_page import RECIPES, VARIANTS, page
from photographs import figures_of
from shapes import Job, checked, run_all

from scaseg_cli.cli.running import occupied
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import read_json, write_json, write_text
from scaseg_cli.recipe import load_recipe
from scaseg_cli.results.console import say_plainly
from scaseg_cli.run_dir import RunDir

if TYPE_CHECKING:
    from collections.abc import Iterable

DOCS = Path(__file__).parents[1] / "docs"
FIGURES, PAGE = DOCS / "choices.json", DOCS / "choices-benchmark.md"


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
        assignments = (*options.changes, f"seed={seed}", *changes)
        arguments = ["--recipe", recipe, "--work-dir", str(run.path)]
        for assignment in assignments:
            arguments += ["--set", assignment]
        name = f"{recipe}/{variant}/{seed}"
        jobs[name] = Job(f"{recipe}, {variant}", seed, load_recipe(recipe, assignments), tuple(arguments), run)
    return jobs


def keep_finished(jobs: dict[str, Job], figures: Path) -> dict[str, Any]:
    """Add the figures of all finished runs to the file, with what was chosen on folds, and return all that it has."""
    found: dict[str, Any] = read_json(figures, "the figures") if figures.is_file() else {}
    for name, job in jobs.items():
        if not job.is_finished:
            continue
        found[name] = figures_of(job)
        if "choose" in job.stages:
            found[name]["chosen"] = read_json(job.run.fold_choice_file, "the choice on the folds")["chosen"]
    if found:
        write_json(figures, dict(sorted(found.items())))
    return found


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Choices without an unseen label on the embedded world.")
    parser.add_argument("--seeds", default="0,1,2", help="comma-separated seeds")
    parser.add_argument("--folder", type=Path, default=Path("runs/choices"), help="parent of the run folders")
    parser.add_argument("--jobs", type=int, default=1, help="number of parallel runs, each on one thread")
    parser.add_argument("--only", action="append", default=[], choices=[*RECIPES], help="recipe to run; all by default")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE", help="as in scaseg")
    parser.add_argument("--figures", type=Path, default=FIGURES, help="the file of figures, which is added to")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to write; an existing one is replaced")
    parser.add_argument("--page-only", action="store_true", help="make the page of the figures that there are")
    return checked(parser, arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run what remains, keep the figures, and write the page; return the exit code."""
    options = _options(arguments)
    seeds = dict.fromkeys(int(seed) for seed in options.seeds.split(","))
    problem = None
    try:
        jobs = {} if options.page_only else make_jobs(options, seeds)
        if jobs:
            with occupied(RunDir(options.folder)):
                for seed in seeds:  # a whole table with one seed comes before the next seed
                    of_seed = {name: job for name, job in jobs.items() if job.seed == seed}
                    try:
                        run_all(list(of_seed.values()), options.jobs)
                    except ScasegError as error:
                        problem = error
                    keep_finished(of_seed, options.figures)
        write_text(options.page, page(keep_finished(jobs, options.figures)))
    except ScasegError as error:
        problem = error
    if problem is not None:
        say_plainly(f"error: {problem}")
        return 2
    say_plainly(f"wrote {options.page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
