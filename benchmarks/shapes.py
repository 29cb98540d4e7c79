"""Run the embedded world's recipe, its baselines and its ablations for several seeds; write the page.

    python benchmarks/shapes.py --seeds 0,1,2 --folder runs/benchmark --jobs 2

The same command resumes an interrupted benchmark. Runs with the same stage key share that stage: the finished stage of
one run is linked into the folder of the next. Runs that share a base model therefore run one after the other; only such
chains of runs are run in parallel.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import shlex
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shapes_page import Results, page

from scaseg_cli.cli.running import occupied
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import write_text
from scaseg_cli.launch import end_with_parent
from scaseg_cli.recipe import load_recipe
from scaseg_cli.results.console import say_plainly
from scaseg_cli.run_dir import RunDir
from scaseg_cli.shared_stages import take_over
from scaseg_cli.stages import is_done, recipe_key, stage_key, stages_for
from scaseg_cli.tasks import task_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scaseg_cli.recipe.schema import Recipe

PAGE = Path(__file__).parents[1] / "docs" / "shapes-benchmark.md"
NO_PULL = ("union.unseen_pull.beta=0",)
# The losses as published; sizes, schedules and learning rates stay those of the embedded world.
PUBLISHED = (
    "cat.reconstruction_weight=0",
    "cat.mixup=0",
    "cat.semantic_unseen=true",
    *NO_PULL,
    "union.unseen_margin=0",
    "union.unseen_weight=null",
)
VARIANTS: dict[str, tuple[str, ...]] = {
    "recipe": (),
    "no-pull": NO_PULL,
    "published": PUBLISHED,
    "published-150": (*PUBLISHED, "union.pseudo_unseen=150"),
    "ridge": ("cat.generator=ridge",),
    "ridge-no-pull": ("cat.generator=ridge", *NO_PULL),
    "no-v2c": ("base.v2c.enabled=false",),
    "longer": ("base.iterations=1200",),
}
_POLL = 0.5  # seconds between two checks of the processes


@dataclass(frozen=True)
class Job:
    """One run of the benchmark.

    Attributes:
        variant: a key of `VARIANTS`.
        seed: the recipe's seed.
        recipe: the recipe with the variant's changes and the seed.
        arguments: the arguments of `scaseg run` for this recipe and this folder.
        run: the run's folder.
    """

    variant: str
    seed: int
    recipe: Recipe
    arguments: tuple[str, ...]
    run: RunDir

    @property
    def is_finished(self) -> bool:
        """Whether all stages of the run are up to date."""
        return all(is_done(self.recipe, self.run, stage) for stage in self.stages)

    @property
    def stages(self) -> list[str]:
        """The stages of the run, in order; only the embedded world's data is made by a stage."""
        is_made = self.recipe.data.shapes is not None
        return [stage for stage in stages_for(self.recipe) if stage != "data" or is_made]


def make_jobs(
    recipe: str, changes: Iterable[str], seeds: Iterable[int], folder: Path, variants: Iterable[str] = tuple(VARIANTS)
) -> list[Job]:
    """Make a job for each of ``variants`` and each seed.

    Raises:
        ScasegError: the recipe has mistakes, or leaves out what the page reports.
    """
    jobs = []
    for seed, variant in itertools.product(seeds, variants):
        assignments = (*changes, *VARIANTS[variant], f"seed={seed}")
        run = RunDir(folder / f"seed-{seed}" / variant)
        arguments = ["--recipe", recipe, "--work-dir", str(run.path)]
        for assignment in assignments:
            arguments += ["--set", assignment]
        jobs.append(Job(variant, seed, load_recipe(recipe, assignments), tuple(arguments), run))
    main = jobs[0].recipe
    if main.evaluation.setting != "both" or not main.union.control or not main.base.v2c.enabled:
        raise ScasegError(
            f"the recipe {recipe} leaves out what is compared here",
            "It needs evaluation.setting both, union.control true and base.v2c.enabled true.",
        )
    return jobs


def chains(jobs: Iterable[Job]) -> list[deque[Job]]:
    """Group jobs with the same base model into chains, in order; the longest chain comes first."""
    by_base: dict[str, deque[Job]] = {}
    for job in jobs:
        by_base.setdefault(recipe_key(job.recipe, "base"), deque()).append(job)
    return sorted(by_base.values(), key=len, reverse=True)


def start(job: Job, jobs: Iterable[Job]) -> subprocess.Popen[bytes] | None:
    """Start the remaining stages of a run; return None if none remain."""
    if job.is_finished:
        say_plainly(f"seed {job.seed}, {job.variant}: up to date")
        return None
    with occupied(job.run):
        taken = take_over(job.recipe, job.run, [other.run for other in jobs])
    say_plainly(f"seed {job.seed}, {job.variant}: starts" + (f"; shares {', '.join(taken)}" if taken else ""))
    with open(job.run.path / "output.txt", "wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "scaseg_cli", "run", *job.arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            preexec_fn=end_with_parent,
        )


def run_all(jobs: list[Job], at_once: int) -> None:
    """Run all jobs, ``at_once`` chains at a time.

    A run that fails stops no other run, except those that need its base model.

    Raises:
        ScasegError: runs failed; the message names each.
    """
    waiting = deque(chains(jobs))
    running: list[tuple[subprocess.Popen[bytes], Job, deque[Job]]] = []
    failed: list[str] = []
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                chain = waiting.popleft()
                job = chain.popleft()
                process = start(job, jobs)
                if process is not None:
                    running.append((process, job, chain))
                elif chain:
                    waiting.appendleft(chain)
            time.sleep(_POLL if running else 0)
            for process, job, chain in [entry for entry in running if entry[0].poll() is not None]:
                running.remove((process, job, chain))
                if process.returncode:
                    failed.append(f"{job.run.path} (exit code {process.returncode})")
                say_plainly(f"seed {job.seed}, {job.variant}: {'failed' if process.returncode else 'done'}")
                if chain and is_done(job.recipe, job.run, "base"):
                    waiting.appendleft(chain)
    finally:
        _end([process for process, _, _ in running])
    if failed:
        raise ScasegError(
            "the page was not written because runs failed: " + ", ".join(failed),
            "See output.txt in these folders. The same command resumes.",
        )


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    for process in processes:
        process.wait()


def read_results(jobs: Sequence[Job]) -> Results:
    """Read the results for the page from the records of the runs."""
    results = Results(task_of(jobs[0].recipe).measure)
    for job in jobs:
        records = {stage: job.run.record(stage) or {} for stage in job.stages}
        results.add(job.variant, job.seed, stage_key(job.recipe, job.run, "evaluation"), records)
    return results


def _command(options: argparse.Namespace) -> str:
    """The command that repeats the benchmark, without the paths of this machine."""
    folder = "FOLDER" if options.folder.is_absolute() else str(options.folder)
    words = ["--seeds", options.seeds, "--folder", folder, "--jobs", str(options.jobs)]
    if options.recipe != "shapes-zps":
        words += ["--recipe", Path(options.recipe).name]
    for change in options.changes:
        words += ["--set", change]
    for variant in options.without:
        words += ["--without", variant]
    return f"python benchmarks/shapes.py {shlex.join(words)}"


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run the embedded world's benchmark; write docs/shapes-benchmark.md.")
    parser.add_argument("--seeds", default="0,1,2", help="comma-separated seeds")
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmark"), help="parent of the run folders")
    parser.add_argument("--jobs", type=int, default=1, help="number of parallel runs, each on one thread")
    parser.add_argument("--recipe", default="shapes-zps", help="name of a shipped recipe, or a file")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE", help="as in scaseg")
    without = [name for name in VARIANTS if name != "recipe"]
    parser.add_argument("--without", action="append", default=[], choices=without, help="variant to leave out")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to write; an existing one is replaced")
    return checked(parser, arguments)


def checked(parser: argparse.ArgumentParser, arguments: list[str] | None) -> argparse.Namespace:
    """Parse the arguments; ends the process where --seeds or --jobs is no number."""
    options = parser.parse_args(arguments)
    if not all(seed.isdecimal() for seed in options.seeds.split(",")) or options.jobs < 1:
        parser.error("--seeds takes comma-separated numbers, --jobs a number of at least 1")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the remaining jobs, then write the page; return the exit code."""
    options = _options(arguments)
    seeds = dict.fromkeys(int(seed) for seed in options.seeds.split(","))
    try:
        variants = {name: changes for name, changes in VARIANTS.items() if name not in options.without}
        jobs = make_jobs(options.recipe, options.changes, seeds, options.folder, variants)
        with occupied(RunDir(options.folder)):
            run_all(jobs, options.jobs)
            text = page(read_results(jobs), jobs[0].recipe, variants, _command(options), options.jobs)
            write_text(options.page, text)
    except ScasegError as error:
        say_plainly(f"error: {error}")
        return 2
    say_plainly(f"wrote {options.page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
