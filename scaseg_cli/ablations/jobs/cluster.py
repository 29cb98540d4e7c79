"""Jobs on a cluster, while this process waits for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaseg_cli.ablations.jobs.job_files import read_outcome, write_job
from scaseg_cli.ablations.jobs.launcher import COMMAND, Failures, RunningJob
from scaseg_cli.launch.jobs import SubmittedJob, submit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scaseg_cli.ablations.jobs.stage_job import RecipeRun
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

NO_LIMIT = 10_000  # jobs at once: a cluster has its own limit


@dataclass(frozen=True)
class _ClusterJob:
    path: Path
    job: SubmittedJob

    def poll(self) -> Failures | None:
        if not self.job.handle.done():
            return None
        how = f"job {self.job.name} ended as {self.job.handle.state}, see {self.job.log}"
        return read_outcome(self.path, how)

    def end(self) -> None:
        self.job.handle.cancel()


@dataclass(frozen=True)
class Cluster:
    """A launcher that submits jobs to a cluster through submitit; this process waits for them.

    Attributes:
        recipe: its slurm section and number of GPUs set the resources of each job.
        run: submitit keeps its files in this run folder's ``jobs/``.
        cluster: ``slurm``, or ``local`` for jobs on this machine.
        num_slots: maximum number of submitted jobs at once.
    """

    recipe: Recipe
    run: RunDir
    cluster: str
    num_slots: int = NO_LIMIT

    def start(self, path: Path, stage: str, cells: Sequence[RecipeRun], slot: int) -> RunningJob:
        """Submit the job."""
        del slot
        write_job(path, stage, list(cells))
        return _ClusterJob(path, submit(self.recipe, self.run, [COMMAND, str(path)], self.cluster, nodes=1))
