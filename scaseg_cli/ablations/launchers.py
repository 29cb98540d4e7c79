"""Where jobs run: in this process, in several on this machine, or as jobs of a cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from scaseg_cli.ablations.job_files import log_file, read_outcome, write_job
from scaseg_cli.ablations.jobs import Cell, Failure, carry_out
from scaseg_cli.errors import ScasegError
from scaseg_cli.launch import end_with_parent
from scaseg_cli.launch.jobs import Job as SubmittedJob
from scaseg_cli.launch.jobs import submit
from scaseg_cli.recipe.schema import Recipe
from scaseg_cli.run_dir import RunDir

Failures = dict[Path, Failure]
COMMAND = "ablate-job"  # carries out what a job's file says
_NO_LIMIT = 10_000  # jobs of a cluster, which has its own limit
_GRACE = 15.0  # seconds that a process has to end by itself


class Running(Protocol):
    """A job that was started."""

    def poll(self) -> Failures | None:
        """What failed, by run folder, or None while it runs."""

    def end(self) -> None:
        """Stop it."""


class Launcher(Protocol):
    """Starts jobs."""

    @property
    def num_slots(self) -> int:
        """How many may run at once."""

    def start(self, path: Path, stage: str, cells: Sequence[Cell], slot: int) -> Running:
        """Start a job.

        Args:
            path: its file, beside which its log lies.
            stage: what to run.
            cells: of which.
            slot: a number below ``num_slots`` that no running job has.
        """


@dataclass(frozen=True)
class _Ended:
    failures: Failures

    def poll(self) -> Failures:
        return self.failures

    def end(self) -> None:
        pass


class Here:
    """One job after the other, in this process."""

    num_slots = 1

    def start(self, path: Path, stage: str, cells: Sequence[Cell], slot: int) -> Running:
        """Carry the job out; it has ended when this returns."""
        del slot
        return _Ended(carry_out(stage, cells, log_file(path)))


@dataclass(frozen=True)
class _Process:
    path: Path
    process: subprocess.Popen[bytes]

    def poll(self) -> Failures | None:
        code = self.process.poll()
        if code is None:
            return None
        how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return read_outcome(self.path, f"its process failed: {how}")

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Processes:
    """Several jobs at once on this machine, each in a process with its own GPUs.

    Args:
        num_slots: jobs at once.
        gpus: of each job; 0: the CPU.
        devices: the machine's CUDA devices, as CUDA_VISIBLE_DEVICES names them.

    Raises:
        ScasegError: there are too few devices.
    """

    def __init__(self, num_slots: int, gpus: int, devices: Sequence[str]) -> None:
        if num_slots * gpus > len(devices):
            raise ScasegError(
                f"{num_slots} jobs with {gpus} CUDA device{'s' if gpus > 1 else ''} each need {num_slots * gpus}, "
                f"this machine has {len(devices)}",
                f"--jobs {max(1, len(devices) // gpus)} fits; --gpus 0 runs on the CPU.",
            )
        self.num_slots, self.gpus, self.devices = num_slots, gpus, list(devices)

    def start(self, path: Path, stage: str, cells: Sequence[Cell], slot: int) -> Running:
        """Start the job's process; what it says goes to its log alone."""
        write_job(path, stage, list(cells))
        own = self.devices[slot * self.gpus : (slot + 1) * self.gpus]
        with open(path.with_suffix(".out"), "wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "scaseg_cli", COMMAND, str(path)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **({"CUDA_VISIBLE_DEVICES": ",".join(own)} if own else {})},
                start_new_session=True,  # Ctrl-C reaches this process alone, which then ends the others
                preexec_fn=end_with_parent,
            )
        return _Process(path, process)


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
    """Jobs of a cluster, through submitit; this process waits for them.

    Attributes:
        recipe: its slurm section and its GPUs are what each job asks for.
        run: in its folder jobs/ submitit keeps its files.
        cluster: ``slurm``, or ``local`` for jobs on this machine.
        num_slots: jobs that are handed in at once.
    """

    recipe: Recipe
    run: RunDir
    cluster: str
    num_slots: int = _NO_LIMIT

    def start(self, path: Path, stage: str, cells: Sequence[Cell], slot: int) -> Running:
        """Hand the job in."""
        del slot
        write_job(path, stage, list(cells))
        return _ClusterJob(path, submit(self.recipe, self.run, [COMMAND, str(path)], self.cluster, nodes=1))


def choose_launcher(recipe: Recipe, run: RunDir, cluster: str | None, num_jobs: int | None) -> Launcher:
    """Where the jobs of ``recipe`` run.

    Args:
        recipe: says how many GPUs each job has.
        run: the folder of the ablations.
        cluster: ``slurm`` or ``local``; None: this machine, here or in processes.
        num_jobs: at once; None: one here, all on a cluster.

    Raises:
        ScasegError: the machine has too few CUDA devices, or a job would take several machines.
    """
    if cluster is not None:
        if recipe.nodes > 1:
            raise ScasegError(f"nodes is {recipe.nodes}, but each job of an ablation has one machine", "--set nodes=1")
        return Cluster(recipe, run, cluster, num_jobs or _NO_LIMIT)
    if num_jobs is not None and num_jobs > 1:
        return Processes(num_jobs, recipe.gpus, _visible_devices(recipe.gpus))
    if recipe.gpus:  # the CPU is there, and torch need not be loaded to know
        from scaseg_cli.base.device import check_devices

        check_devices(recipe)
    return Here()


def _visible_devices(gpus: int) -> list[str]:
    """The CUDA devices of this machine, as CUDA_VISIBLE_DEVICES names them; none where none is asked for."""
    if not gpus:
        return []
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named:  # torch need not be loaded to know
        return named.split(",")
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]
