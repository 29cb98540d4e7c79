"""Commands as cluster jobs: submitit submits them, and they run on one or several nodes."""

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

_RETURNS = 50  # times that a job that reached its time limit is queued again
_YEAR = 365 * 24 * 60  # minutes; a job on this machine has no limit, but submitit requires one


@dataclass(frozen=True)
class SubmittedJob:
    """A submitted job.

    Attributes:
        name: the cluster's job id.
        log: the file with the job's output.
        handle: submitit's job, for waiting.
    """

    name: str
    log: Path
    handle: submitit.Job[None]


class Command:
    """`scaseg` with its arguments, as every node of a job runs it.

    A job that reaches its time limit or is preempted is queued again; its command then resumes from its last
    checkpoint.
    """

    def __init__(self, arguments: list[str], folder: Path) -> None:
        self.arguments, self.folder = arguments, folder

    def __call__(self) -> None:
        """Run the command; the job ends with its exit code."""
        command = [sys.executable, "-m", "scaseg_cli", *self.here()]
        process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, preexec_fn=_in_a_job)
        try:
            code = process.wait()
        except BaseException:  # the job is interrupted; no process of it may still run when it restarts
            process.terminate()
            process.wait()
            raise
        if code:
            sys.exit(code)

    def here(self) -> list[str]:
        """The command's arguments on this node of the job."""
        import submitit

        where = submitit.JobEnvironment()
        if where.num_nodes == 1:
            return self.arguments
        port = 20_000 + int(re.sub(r"\D", "", where.job_id)) % 10_000  # jobs on one machine use different ports
        rendezvous = f"{where.hostnames[0]}:{port}"
        return [*self.arguments, "--node-rank", str(where.node), "--rendezvous", rendezvous]

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """The submission that submitit queues in place of an interrupted job: the same command."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)


def _in_a_job() -> None:
    """Ignore the cluster's time-limit signal, which all processes get; submitit handles it in the parent."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    end_with_parent()


def submit(recipe: Recipe, run: RunDir, arguments: list[str], cluster: str, nodes: int) -> SubmittedJob:
    """Submit `scaseg` with ``arguments`` as a job.

    Args:
        recipe: its slurm section, GPUs and name are used.
        run: the run folder; its folder jobs/ gets the job's log and submitit's files.
        arguments: of the command, without --launcher.
        cluster: ``slurm``, or ``local`` for a job on this machine.
        nodes: number of machines, each of which runs the command.

    Raises:
        ScasegError: the cluster is not available here, or rejects the job.
    """
    import submitit

    if cluster == "local" and nodes > 1:
        raise ScasegError(f"--launcher local uses this machine alone, and nodes is {nodes}", "Use --nodes 1.")
    folder = run.folder("jobs").resolve()
    try:
        executor = submitit.AutoExecutor(folder, cluster=cluster, slurm_max_num_timeout=_RETURNS)
        executor.update_parameters(**_parameters(recipe, cluster, nodes))
        with _nothing_inherited():
            job = executor.submit(Command(arguments, Path.cwd()))
    except (RuntimeError, OSError) as error:
        hint = "Run it where sbatch works, and check the recipe's slurm section (partition, account and so on)."
        raise ScasegError(f"{cluster} does not take the job: {error}", hint) from error
    return SubmittedJob(job.job_id, Path(job.paths.stdout), job)


@contextmanager
def _nothing_inherited() -> Iterator[None]:
    """Keep a job on this machine, which outlives the command, from holding the command's stdout and stderr open."""
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
    """The resources that submitit requests: one task per node, which starts the node's processes."""
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
        # node 0 works longer than the others; if a node fails, all end
        "slurm_srun_args": ["--wait=0", "--kill-on-bad-exit=1"],
    }
    return {name: value for name, value in wanted.items() if value is not None}


def minutes(slurm: Slurm) -> int:
    """The requested time in whole minutes, rounded up."""
    if isinstance(slurm.time, int):
        return slurm.time
    days, _, clock = slurm.time.rpartition("-")
    hours, whole, seconds = (int(part) for part in clock.split(":"))
    return (int(days or 0) * 24 + hours) * 60 + whole + (seconds > 0)
