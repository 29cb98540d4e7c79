"""What starts jobs, and what came of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from scaseg_cli.ablations.jobs.stage_job import Failure, RecipeRun

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMAND = "ablate-job"  # of `scaseg`: carries out what a job's file says
Failures = dict[Path, Failure]  # by run folder


class RunningJob(Protocol):
    """A job that was started."""

    def poll(self) -> Failures | None:
        """What failed, or None while it runs."""

    def end(self) -> None:
        """Stop it."""


class JobLauncher(Protocol):
    """Starts jobs."""

    @property
    def num_slots(self) -> int:
        """How many may run at once."""

    def start(self, path: Path, stage: str, cells: Sequence[RecipeRun], slot: int) -> RunningJob:
        """Start a job.

        Args:
            path: its file, beside which its log lies.
            stage: what to run.
            cells: of which.
            slot: a number below ``num_slots`` that no running job has.
        """
