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
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from kept_figures import options_of, run_by_seed
from photographs_page import VARIANTS, page
from safetensors.numpy import save
from shapes import Job

from scaseg_cli.files import read_json, write_bytes
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = Path(__file__).parents[1] / "docs" / "photographs-benchmark.md"
MSRC = ("msrc-zss", "msrc-zss-near", "msrc-zps", "msrc-zps-near")
RECIPES = dict.fromkeys(MSRC, "msrc") | {"camvid-zss": "camvid"}
# Variants with base models of their own are run for few recipes, since each costs one or more trainings.
OWN_BASE = {"random": ("msrc-zss", "msrc-zps"), "scratch": ("msrc-zss",), "folds": ("msrc-zss",)}
_WIDTH = 384  # of the sentence encoder's vectors, which random ones replace


def make_jobs(options: argparse.Namespace, seeds: Iterable[int]) -> dict[str, Job]:
    """Make a job for each seed, recipe and variant, by its name in the file of figures; bases come first.

    Raises:
        ScasegError: a recipe has mistakes.
    """
    jobs = {}
    for seed, (recipe, data), (variant, changes) in itertools.product(seeds, RECIPES.items(), VARIANTS.items()):
        root = getattr(options, data)
        left_out = recipe not in OWN_BASE.get(variant, RECIPES) or (options.only and recipe not in options.only)
        if root is None or left_out:
            continue
        run = RunDir(options.folder / recipe / f"seed-{seed}" / variant)
        assignments = (f"data.root={root}", f"seed={seed}", *changes)
        if variant == "random":
            assignments += (f"embeddings.vectors={random_vectors(options.folder, recipe, root, seed)}",)
        arguments = ["--recipe", recipe, "--work-dir", str(run.path)]
        for assignment in assignments:
            arguments += ["--set", assignment]
        name = f"{recipe}/{variant}/{seed}"
        jobs[name] = Job(f"{recipe}, {variant}", seed, load_recipe(recipe, assignments), tuple(arguments), run)
    return jobs


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


def main(arguments: list[str] | None = None) -> int:
    """Run what remains, keep the figures, and write the page; return the exit code."""
    parser = argparse.ArgumentParser(description="Run the recipes for photographs; write the page of figures.")
    parser.add_argument("--msrc", type=Path, help="folder of MSRC v2 as docs/photographs.md has it")
    parser.add_argument("--camvid", type=Path, help="folder of CamVid as docs/data.md has it")
    options = options_of(parser, arguments, Path("runs/photographs"), RECIPES, PAGE)
    return run_by_seed(options, lambda seeds: make_jobs(options, seeds), page)


if __name__ == "__main__":
    sys.exit(main())
