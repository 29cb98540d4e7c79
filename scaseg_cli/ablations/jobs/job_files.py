"""One job in a process of its own, here or on a machine of a cluster: `scaseg ablate-job FILE`.

The file names the stage and the run folders, each with its recipe; what failed is written beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scaseg_cli.ablations.jobs.stage_job import Failure, RecipeRun, run_stage_job
from scaseg_cli.files import read_json, write_json
from scaseg_cli.recipe import load_recipe, save_recipe
from scaseg_cli.run_dir import RunDir


def write_job(path: Path, stage: str, cells: list[RecipeRun]) -> None:
    """Write the file of a job; the recipes go to the run folders."""
    outcome_file(path).unlink(missing_ok=True)
    for recipe, run in cells:
        save_recipe(recipe, run.recipe_file)
    write_json(path, {"stage": stage, "runs": [str(run.path) for _, run in cells]})


def runs_of(path: Path) -> list[RunDir]:
    """The run folders that a job works in."""
    return [RunDir(Path(folder)) for folder in read_json(path, "the job")["runs"]]


def run_job(path: Path) -> None:
    """Carry out the job that is written in ``path``, and write what failed."""
    content: dict[str, Any] = read_json(path, "the job")
    cells = [(load_recipe(str(run.recipe_file)), run) for run in runs_of(path)]
    failures = run_stage_job(content["stage"], cells, log_file(path))
    write_json(outcome_file(path), {str(folder): failure.reason for folder, failure in failures.items()})


def read_outcome(path: Path, stopped: str) -> dict[Path, Failure]:
    """What failed of the job ``path``, by run folder; all of it where it ended without a word.

    Args:
        path: of the job.
        stopped: how the process ended, in words.
    """
    log = log_file(path)
    if outcome_file(path).is_file():
        failed: dict[str, str] = read_json(outcome_file(path), "what became of the job")
        return {Path(folder): Failure(reason, log) for folder, reason in failed.items()}
    return {run.path: Failure(stopped, log) for run in runs_of(path)}


def outcome_file(path: Path) -> Path:
    """Where a job says what failed."""
    return path.with_suffix(".outcome.json")


def log_file(path: Path) -> Path:
    """Where a job keeps what it says."""
    return path.with_suffix(".txt")
