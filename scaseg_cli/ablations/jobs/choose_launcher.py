"""The choice of where jobs run: in this process, in several on this machine, or as jobs of a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaseg_cli.ablations.jobs.cluster import NO_LIMIT, Cluster
from scaseg_cli.ablations.jobs.job_files import log_file
from scaseg_cli.ablations.jobs.processes import Processes, visible_devices
from scaseg_cli.ablations.jobs.stage_job import RecipeRun, run_stage_job
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scaseg_cli.ablations.jobs.launcher import Failures, JobLauncher, RunningJob
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir


@dataclass(frozen=True)
class _Ended:
    failures: Failures

    def poll(self) -> Failures:
        return self.failures

    def end(self) -> None:
        pass


class Here:
    """A launcher that runs one job after the other in this process."""

    num_slots = 1

    def start(self, path: Path, stage: str, cells: Sequence[RecipeRun], slot: int) -> RunningJob:
        """Run the job to its end before returning."""
        del slot
        return _Ended(run_stage_job(stage, cells, log_file(path)))


def choose_launcher(recipe: Recipe, run: RunDir, cluster: str | None, num_jobs: int | None) -> JobLauncher:
    """Choose the launcher of the jobs.

    Args:
        recipe: sets the number of GPUs of each job.
        run: the folder of the ablations.
        cluster: ``slurm`` or ``local``; None means this machine, in this process or in several.
        num_jobs: number of jobs at once; None means one on this machine, all on a cluster.

    Raises:
        ScasegError: the machine has too few CUDA devices, or a job would need several machines.
    """
    if cluster is not None:
        if recipe.nodes > 1:
            raise ScasegError(
                f"nodes is {recipe.nodes}, but each job of an ablation runs on one machine", "Add --set nodes=1."
            )
        return Cluster(recipe, run, cluster, num_jobs or NO_LIMIT)
    if num_jobs is not None and num_jobs > 1:
        return Processes(num_jobs, recipe.gpus, visible_devices(recipe.gpus))
    if recipe.gpus:  # a CPU needs no check, so torch is not imported
        from scaseg_cli.base.device import check_devices

        check_devices(recipe)
    return Here()
