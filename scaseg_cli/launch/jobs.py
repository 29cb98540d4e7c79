"""A command as a job of a cluster, through submitit: it is handed in and carried out later, on one node or several."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaseg_cli.errors import ScasegError
from scaseg_cli.launch.processes import end_with_parent

if TYPE_CHECKING:
    from collections.abc import Iterator

    import submitit

    from scaseg_cli.recipe.schema import Recipe, Slurm
    from scaseg_cli.run_dir import RunDir

_RETURNS = 50  # times that a job whose time is up is queued again
_YEAR = 365 * 24 * 60  # minutes; a job on this machine has no limit, and submitit wants one


@dataclass(frozen=True)
class SubmittedJob:
    """A job that was handed in.

    Attributes:
        name: as the cluster calls it.
        log: all that it says.
        handle: submitit's, for whoever waits for it.
    """

    name: str
    log: Path
    handle: submitit.Job[None]


class Command:
    """`scaseg` with its arguments, as every node of a job carries it out.

    A job that is about to be taken off the cluster, by its time or by another job, is queued again: its command goes
    on from what is saved.
    """

    def __init__(self, arguments: list[str], folder: Path) -> None:
        self.arguments, self.folder = arguments, folder

    def __call__(self) -> None:
        """Carry it out; the job ends with the command's exit code."""
        command = [sys.executable, "-m", "scaseg_cli", *self.here()]
        process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, preexec_fn=_in_a_job)
        try:
            code = process.wait()
        except BaseException:  # the job is cut short: nothing of it may be at work when it begins again
            process.terminate()
            process.wait()
            raise
        if code:
            sys.exit(code)

    def here(self) -> list[str]:
        """The arguments on this node of the job."""
        import submitit

        where = submitit.JobEnvironment()
        if where.num_nodes == 1:
            return self.arguments
        port = 20_000 + int(re.sub(r"\D", "", where.job_id)) % 10_000  # jobs that share a machine keep apart
        rendezvous = f"{where.hostnames[0]}:{port}"
        return [*self.arguments, "--node-rank", str(where.node), "--rendezvous", rendezvous]

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """What submitit queues in place of a job that is cut short: the same."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)


def _in_a_job() -> None:
    """The cluster's signal that time is short goes to all processes; submitit answers it for this one."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    end_with_parent()


def submit(recipe: Recipe, run: RunDir, arguments: list[str], cluster: str, nodes: int) -> SubmittedJob:
    """Hand in `scaseg` with ``arguments`` as a job.

    Args:
        recipe: for its slurm section, GPUs and name.
        run: the run folder; the job's log and submitit's files go to jobs/ in it.
        arguments: of the command, without those that made it a job.
        cluster: ``slurm``, or ``local`` for a job on this machine.
        nodes: machines; the command is carried out on each.

    Raises:
        ScasegError: there is no such cluster here, or it refuses the job.
    """
    import submitit

    if cluster == "local" and nodes > 1:
        raise ScasegError(f"--launcher local is this machine alone, and nodes is {nodes}", "Take --nodes 1.")
    folder = run.folder("jobs").resolve()
    try:
        executor = submitit.AutoExecutor(folder, cluster=cluster, slurm_max_num_timeout=_RETURNS)
        executor.update_parameters(**_parameters(recipe, cluster, nodes))
        with _nothing_inherited():
            job = executor.submit(Command(arguments, Path.cwd()))
    except (RuntimeError, OSError) as error:
        hint = "Start it where sbatch works; partition, account and the like are the recipe's slurm section."
        raise ScasegError(f"{cluster} does not take the job: {error}", hint) from error
    return SubmittedJob(job.job_id, Path(job.paths.stdout), job)


@contextmanager
def _nothing_inherited() -> Iterator[None]:
    """A job on this machine outlives the command: it must not keep open what a reader of its output waits to end."""
    saved = [os.dup(number) for number in (1, 2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for number in (1, 2):
            os.dup2(nowhere, number)
        yield
    finally:
        for number, before in zip((1, 2), saved, strict=True):
            os.dup2(before, number)
        for number in (*saved, nowhere):
            os.close(number)


def _parameters(recipe: Recipe, cluster: str, nodes: int) -> dict[str, Any]:
    """What submitit asks the cluster for; one task a node, which starts the node's processes."""
    slurm = recipe.slurm
    wanted: dict[str, Any] = {
        "name": recipe.name,
        "nodes": nodes,
        "tasks_per_node": 1,
        "gpus_per_node": recipe.gpus or None,
        "cpus_per_task": slurm.cpus_per_task,
        "mem_gb": slurm.memory,
        "timeout_min": minutes(slurm) if cluster == "slurm" else _YEAR,
        "stderr_to_stdout": True,
        "slurm_partition": slurm.partition,
        "slurm_account": slurm.account,
        "slurm_qos": slurm.qos,
        "slurm_constraint": slurm.constraint,
        "slurm_setup": slurm.setup or None,
        # node 0 has more to do than the others, which must not outlive a node that fails
        "slurm_srun_args": ["--wait=0", "--kill-on-bad-exit=1"],
    }
    return {name: value for name, value in wanted.items() if value is not None}


def minutes(slurm: Slurm) -> int:
    """The time that is asked for, in whole minutes."""
    if isinstance(slurm.time, int):
        return slurm.time
    days, _, clock = slurm.time.rpartition("-")
    hours, whole, seconds = (int(part) for part in clock.split(":"))
    return (int(days or 0) * 24 + hours) * 60 + whole + (seconds > 0)
