"""Run the recipes for photographs with several seeds; keep each run's figures, and write the page from them.

    python benchmarks/photographs.py --msrc FOLDER --camvid FOLDER --seeds 0,1,2 --folder runs/photographs --jobs 2

The same command resumes. Figures of finished runs are added to docs/photographs.json as they come, and the page
docs/photographs-benchmark.md is made from that file, so that it can be made in several goes. ``--page-only`` makes the
page without a run, ``--only RECIPE`` runs one recipe.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from photographs_page import VARIANTS, page
from safetensors.numpy import save
from shapes import Job, checked, run_all

from scaseg_cli.cli.running import occupied
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import read_json, write_bytes, write_json, write_text
from scaseg_cli.recipe import load_recipe
from scaseg_cli.results.console import say_plainly
from scaseg_cli.results.table import read_table
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.classes import read_classes

if TYPE_CHECKING:
    from collections.abc import Iterable

DOCS = Path(__file__).parents[1] / "docs"
FIGURES, PAGE = DOCS / "photographs.json", DOCS / "photographs-benchmark.md"
MSRC = ("msrc-zss", "msrc-zss-near", "msrc-zps", "msrc-zps-near")
RECIPES = dict.fromkeys(MSRC, "msrc") | {"camvid-zss": "camvid"}
# Variants with a base model of their own are run where the prototype had them, since each costs a whole training.
OWN_BASE = {"random": ("msrc-zss", "msrc-zps"), "scratch": ("msrc-zss",)}
_WIDTH = 384  # of the sentence encoder's vectors, which random ones replace
_STEMS = ("intervals", "neighbours", "per-class")


@dataclass(frozen=True)
class Run:
    """One run: its name in the file of figures, and its job."""

    name: str
    job: Job


def make_runs(options: argparse.Namespace, seeds: Iterable[int]) -> list[Run]:
    """Make a run for each recipe, seed and variant, bases first.

    Raises:
        ScasegError: a recipe has mistakes.
    """
    runs = []
    for seed, (recipe, data), (variant, changes) in itertools.product(seeds, RECIPES.items(), VARIANTS.items()):
        root = getattr(options, data)
        left_out = recipe not in OWN_BASE.get(variant, RECIPES) or (options.only and recipe not in options.only)
        if root is None or left_out:
            continue
        run = RunDir(options.folder / recipe / f"seed-{seed}" / variant)
        assignments = [f"data.root={root}", f"seed={seed}", *changes]
        if variant == "random":
            assignments.append(f"embeddings.vectors={random_vectors(options.folder, recipe, root, seed)}")
        arguments = ["--recipe", recipe, "--work-dir", str(run.path)]
        for assignment in assignments:
            arguments += ["--set", assignment]
        job = Job(f"{recipe}, {variant}", seed, load_recipe(recipe, tuple(assignments)), tuple(arguments), run)
        runs.append(Run(f"{recipe}/{variant}/{seed}", job))
    return runs


def random_vectors(folder: Path, recipe: str, root: Path, seed: int) -> Path:
    """Write unit vectors of random direction for the classes of a recipe; they say nothing about the classes."""
    path = folder / f"random-{recipe}-{seed}.safetensors"
    if not path.is_file():
        names = [item["name"] for item in read_json(root / "categories.json", "the list of classes")]
        drawn = np.random.default_rng(seed).normal(size=(len(names), _WIDTH)).astype(np.float32)
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, save(dict(zip(names, drawn, strict=True))))
    return path


def figures_of(job: Job) -> dict[str, Any]:
    """The tables of a finished run, the seconds of its stages, and what it was made with."""
    run = job.run
    records = {stage: run.record(stage) or {} for stage in job.stages}
    evaluation = records["evaluation"]
    tables = {stem: read_table(run.results_file.with_stem(stem)).rows for stem in _STEMS}
    classes = read_classes(run)
    rows = dict(zip(evaluation["summary"], tables.pop("intervals"), strict=True))  # both in the order of the table
    return {
        "rows": rows,
        **tables,
        "seconds": {stage: record["seconds"] for stage, record in records.items()},
        "images": {part: records["split"]["summary"][part] for part in ("train", "selection", "validation")},
        "unseen": classes.names[classes.num_seen :],
        "versions": evaluation["versions"],
        "commit": evaluation["commit"],
    }


def keep_finished(runs: Iterable[Run]) -> dict[str, Any]:
    """Add the figures of all finished runs to the file, and return all that it has."""
    found: dict[str, Any] = read_json(FIGURES, "the figures") if FIGURES.is_file() else {}
    for run in runs:
        if run.job.is_finished:
            found[run.name] = figures_of(run.job)
    if found:
        write_json(FIGURES, dict(sorted(found.items())))
    return found


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run the recipes for photographs; write the page of figures.")
    parser.add_argument("--msrc", type=Path, help="folder of MSRC v2 as docs/photographs.md has it")
    parser.add_argument("--camvid", type=Path, help="folder of CamVid as docs/data.md has it")
    parser.add_argument("--seeds", default="0,1,2", help="comma-separated seeds")
    parser.add_argument("--folder", type=Path, default=Path("runs/photographs"), help="parent of the run folders")
    parser.add_argument("--jobs", type=int, default=1, help="number of parallel runs, each on one thread")
    parser.add_argument("--only", action="append", default=[], choices=[*RECIPES], help="recipe to run; all by default")
    parser.add_argument("--page-only", action="store_true", help="make the page of the figures that there are")
    return checked(parser, arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run what remains, keep the figures, and write the page; return the exit code."""
    options = _options(arguments)
    seeds = dict.fromkeys(int(seed) for seed in options.seeds.split(","))
    try:
        runs = [] if options.page_only else make_runs(options, seeds)
        problem = None
        if runs:
            with occupied(RunDir(options.folder)):
                for seed in seeds:  # a whole table with one seed comes before the next seed
                    of_seed = [run for run in runs if run.job.seed == seed]
                    try:
                        run_all([run.job for run in of_seed], options.jobs)
                    except ScasegError as error:
                        problem = error
                    keep_finished(of_seed)
        write_text(PAGE, page(keep_finished(runs)))
    except ScasegError as error:
        problem = error
    if problem is not None:
        say_plainly(f"error: {problem}")
        return 2
    say_plainly(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
