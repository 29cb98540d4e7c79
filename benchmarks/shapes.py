"""Runs the embedded world's recipe, its baselines and it with parts taken away, for several seeds; writes the page.

    python benchmarks/shapes.py --seeds 0,1,2 --folder runs/benchmark --jobs 2

The same command again does what is left and no more. Runs that agree on a stage's key share it: what one has finished
is linked into the folder of the next. So runs with one base model follow each other, and only such rows of runs go on
at the same time.
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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shapes_page import Results, page

from scaseg_cli.ablations.store import link_stage
from scaseg_cli.cli.running import occupied
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import write_text
from scaseg_cli.launch import end_with_parent
from scaseg_cli.recipe import load_recipe
from scaseg_cli.recipe.schema import Recipe
from scaseg_cli.results.console import say_plainly
from scaseg_cli.run_dir import RunDir
from scaseg_cli.stages import is_done, stage_key, stages_for
from scaseg_cli.tasks import task_of

PAGE = Path(__file__).parents[1] / "docs" / "shapes-benchmark.md"
NO_PULL = ("union.unseen_pull.beta=0",)
# The losses as published; sizes, schedules and learning rates stay the small world's.
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
_POLL = 0.5  # seconds between two looks at the processes


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes:
        variant: of `VARIANTS`.
        seed: the recipe's.
        recipe: with the variant's changes and the seed.
        arguments: of `scaseg run`, which mean this recipe and this folder.
        run: its folder.
    """

    variant: str
    seed: int
    recipe: Recipe
    arguments: tuple[str, ...]
    run: RunDir

    @property
    def is_finished(self) -> bool:
        """Whether all its stages are up to date."""
        return all(is_done(self.recipe, self.run, stage) for stage in stages_for(self.recipe))


def make_jobs(
    recipe: str, changes: Iterable[str], seeds: Iterable[int], folder: Path, variants: Iterable[str] = tuple(VARIANTS)
) -> list[Job]:
    """Every one of ``variants`` for every seed.

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
    """Jobs with the same base model, in order; those that most others wait for come first."""
    by_base: dict[str, deque[Job]] = {}
    for job in jobs:
        by_base.setdefault(stage_key(job.recipe, "base"), deque()).append(job)
    return sorted(by_base.values(), key=len, reverse=True)


def take_over(job: Job, jobs: Iterable[Job]) -> list[str]:
    """Link what other runs have finished with the same key; returns the stages."""
    taken = []
    with occupied(job.run):
        for stage in stages_for(job.recipe):
            if is_done(job.recipe, job.run, stage):
                continue
            donor = next((other for other in jobs if is_done(job.recipe, other.run, stage)), None)
            if donor is not None:
                link_stage(stage, donor.run, job.run)
                taken.append(stage)
    return taken


def start(job: Job, jobs: Iterable[Job]) -> subprocess.Popen[bytes] | None:
    """Begin what is left of a run, or return None where nothing is."""
    taken = [] if job.is_finished else take_over(job, jobs)
    if job.is_finished:
        say_plainly(f"seed {job.seed}, {job.variant}: up to date")
        return None
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
    """Carry out all jobs, ``at_once`` chains of them at a time.

    A run that fails stops no other, but for those that need its base model.

    Raises:
        ScasegError: runs failed; names each.
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
            "no page, since runs failed: " + ", ".join(failed),
            "output.txt in these folders has all they said. The same command goes on.",
        )


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    for process in processes:
        process.wait()


def read_results(jobs: Sequence[Job]) -> Results:
    """What the page is made from, out of the records."""
    results = Results(task_of(jobs[0].recipe).measure)
    for job in jobs:
        records = {stage: job.run.record(stage) or {} for stage in stages_for(job.recipe)}
        results.add(job.variant, job.seed, stage_key(job.recipe, "evaluation"), records)
    return results


def _command(options: argparse.Namespace) -> str:
    """The command again, without this machine's paths."""
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
    parser = argparse.ArgumentParser(description="The embedded world's benchmark; writes docs/shapes-benchmark.md.")
    parser.add_argument("--seeds", default="0,1,2", help="seeds, with commas between them")
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmark"), help="where the run folders lie")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once, each on one thread")
    parser.add_argument("--recipe", default="shapes-zps", help="a shipped recipe's name or a file")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE", help="as in scaseg")
    without = [name for name in VARIANTS if name != "recipe"]
    parser.add_argument("--without", action="append", default=[], choices=without, help="a variant that is not run")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page; whatever is there is replaced")
    options = parser.parse_args(arguments)
    if not all(seed.isdecimal() for seed in options.seeds.split(",")) or options.jobs < 1:
        parser.error("--seeds takes numbers with commas between them, --jobs a number from 1")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run what is left, then write the page; returns the exit code."""
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
