"""One job in a process of its own, here or on a machine of a cluster: `scaseg ablate-job FILE`.

The file names the stage and the run folders, each with its recipe. The job writes its failures beside the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from scaseg_cli.ablations.jobs.stage_job import Failure, RecipeRun, run_stage_job
from scaseg_cli.files import read_own_json, write_json
from scaseg_cli.recipe import load_recipe, save_recipe
from scaseg_cli.run_dir import RunDir


class _Job(TypedDict):
    stage: str
    runs: list[str]


def write_job(path: Path, stage: str, cells: list[RecipeRun]) -> None:
    """Write the file of a job, and the recipes into the run folders."""
    outcome_file(path).unlink(missing_ok=True)
    for recipe, run in cells:
        save_recipe(recipe, run.recipe_file)
    write_json(path, {"stage": stage, "runs": [str(run.path) for _, run in cells]})


def runs_of(path: Path) -> list[RunDir]:
    """Return the run folders of a job."""
    return [RunDir(Path(folder)) for folder in _read_job(path)["runs"]]


def _read_job(path: Path) -> _Job:
    return read_own_json(path, "the job", _Job, "Run the ablation again.")


def run_job(path: Path) -> None:
    """Run the job that the file ``path`` describes, and write its failures."""
    content = _read_job(path)
    cells = [(load_recipe(str(run.recipe_file)), run) for run in runs_of(path)]
    failures = run_stage_job(content["stage"], cells, log_file(path))
    write_json(outcome_file(path), {str(folder): failure.reason for folder, failure in failures.items()})


def read_outcome(path: Path, stopped: str) -> dict[Path, Failure]:
    """Read the failures of a job by run folder; a job that wrote no outcome has failed in all of them.

    Args:
        path: the job's file.
        stopped: how the job's process ended, as the reason of a failure without an outcome.
    """
    log = log_file(path)
    if outcome_file(path).is_file():
        failed = read_own_json(outcome_file(path), "the job's outcome", dict[str, str], "Run the ablation again.")
        return {Path(folder): Failure(reason, log) for folder, reason in failed.items()}
    return {run.path: Failure(stopped, log) for run in runs_of(path)}


def outcome_file(path: Path) -> Path:
    """Return the path of the file in which a job writes its failures."""
    return path.with_suffix(".outcome.json")


def log_file(path: Path) -> Path:
    """Return the path of a job's log."""
    return path.with_suffix(".txt")
