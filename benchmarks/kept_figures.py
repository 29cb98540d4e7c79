"""Run the jobs of a benchmark seed by seed, and keep the figures of each finished run for a page that grows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from shapes import checked, run_all

from scaseg_cli.cli.running import occupied
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import read_json, write_json, write_text
from scaseg_cli.results.console import say_plainly
from scaseg_cli.results.table import read_table
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.classes import read_classes

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Mapping

    from shapes import Job

_STEMS = ("intervals", "neighbours", "per-class")


def figures_of(job: Job) -> dict[str, Any]:
    """The tables of a finished run, what the folds chose, the seconds of its stages, and what it was made with."""
    run = job.run
    records = {stage: run.record(stage) or {} for stage in job.stages}
    evaluation = records["evaluation"]
    tables = {stem: read_table(run.results_file.with_stem(stem)).rows for stem in _STEMS}
    classes = read_classes(run)
    rows = dict(zip(evaluation["summary"], tables.pop("intervals"), strict=True))  # both in the order of the table
    figures = {
        "rows": rows,
        **tables,
        "seconds": {stage: record["seconds"] for stage, record in records.items()},
        "images": {part: records["split"]["summary"][part] for part in ("train", "selection", "validation")},
        "unseen": classes.names[classes.num_seen :],
        "versions": evaluation["versions"],
        "commit": evaluation["commit"],
    }
    if "choose" in job.stages:
        figures["chosen"] = read_json(run.fold_choice_file, "the choice on the folds")["chosen"]
    return figures


def keep_finished(jobs: Mapping[str, Job], path: Path) -> dict[str, Any]:
    """Add the figures of all finished jobs to the file under their names, and return all that it has."""
    found: dict[str, Any] = read_json(path, "the figures") if path.is_file() else {}
    found |= {name: figures_of(job) for name, job in jobs.items() if job.is_finished}
    if found:
        write_json(path, dict(sorted(found.items())))
    return found


def options_of(
    parser: argparse.ArgumentParser, arguments: list[str] | None, folder: Path, recipes: Iterable[str], page: Path
) -> argparse.Namespace:
    """Add the options that such a benchmark has, and parse the arguments.

    Args:
        parser: has the benchmark's own options.
        arguments: None: those of the process.
        folder: default parent of the run folders.
        recipes: names of the recipes that it runs.
        page: default page; its figures lie beside it.
    """
    figures = page.with_name(page.name.replace("-benchmark.md", ".json"))
    parser.add_argument("--seeds", default="0,1,2", help="comma-separated seeds")
    parser.add_argument("--folder", type=Path, default=folder, help="parent of the run folders")
    parser.add_argument("--jobs", type=int, default=1, help="number of parallel runs, each on one thread")
    parser.add_argument("--only", action="append", default=[], choices=[*recipes], help="recipe to run; all by default")
    parser.add_argument("--figures", type=Path, default=figures, help="the file of figures, which is added to")
    parser.add_argument("--page", type=Path, default=page, help="the page to write; an existing one is replaced")
    parser.add_argument("--page-only", action="store_true", help="make the page of the figures that there are")
    return checked(parser, arguments)


def run_by_seed(
    options: argparse.Namespace,
    make_jobs: Callable[[Iterable[int]], Mapping[str, Job]],
    page: Callable[[Mapping[str, Any]], str],
) -> int:
    """Run what remains, keep the figures, and write the page; return the exit code.

    Args:
        options: of `options_of`.
        make_jobs: the jobs of these seeds, by their names in the file of figures.
        page: the page of the figures.
    """
    seeds = dict.fromkeys(int(seed) for seed in options.seeds.split(","))
    problem = None
    try:
        jobs = {} if options.page_only else make_jobs(seeds)
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
