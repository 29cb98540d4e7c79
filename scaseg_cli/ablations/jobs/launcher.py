"""The interface of launchers, which start jobs, and of running jobs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from scaseg_cli.ablations.jobs.stage_job import Failure, RecipeRun

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMAND = "ablate-job"  # the command of `scaseg` that runs a job from its file
Failures = dict[Path, Failure]  # by run folder


class RunningJob(Protocol):
    """A job that was started."""

    def poll(self) -> Failures | None:
        """Return the failures of the ended job, or None while it runs."""

    def end(self) -> None:
        """Stop the job."""


class JobLauncher(Protocol):
    """A way to start jobs: in this process, in several, or on a cluster."""

    @property
    def num_slots(self) -> int:
        """The maximum number of jobs at once."""

    def start(self, path: Path, stage: str, cells: Sequence[RecipeRun], slot: int) -> RunningJob:
        """Start a job.

        Args:
            path: the job's file; its log is written beside it.
            stage: the stage to run.
            cells: recipes and run folders of the job.
            slot: a number below ``num_slots`` that no other running job has.
        """
