"""Jobs in processes of this machine, each with GPUs of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaseg_cli.ablations.jobs.job_files import read_outcome, write_job
from scaseg_cli.ablations.jobs.launcher import COMMAND, Failures, RunningJob
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import own_file
from scaseg_cli.launch import end_with_parent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scaseg_cli.ablations.jobs.stage_job import RecipeRun

_GRACE = 15.0  # seconds that a process has to end before it is killed


@dataclass(frozen=True)
class _Process:
    path: Path
    process: subprocess.Popen[bytes]

    def poll(self) -> Failures | None:
        code = self.process.poll()
        if code is None:
            return None
        how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return read_outcome(self.path, f"its process failed: {how}, see {output_file(self.path)}")

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Processes:
    """A launcher that runs several jobs at once on this machine, each in a process with its own GPUs.

    Args:
        num_slots: number of jobs at once.
        gpus: number of GPUs of each job; 0 means the CPU.
        devices: the machine's CUDA devices, as CUDA_VISIBLE_DEVICES names them.

    Raises:
        ScasegError: there are too few devices.
    """

    def __init__(self, num_slots: int, gpus: int, devices: Sequence[str]) -> None:
        if num_slots * gpus > len(devices):
            raise ScasegError(
                f"{num_slots} jobs with {gpus} CUDA device{'s' if gpus > 1 else ''} each need {num_slots * gpus}, "
                f"this machine has {len(devices)}",
                f"Use --jobs {max(1, len(devices) // gpus)}, or --gpus 0 for the CPU.",
            )
        self.num_slots, self.gpus, self.devices = num_slots, gpus, list(devices)

    def start(self, path: Path, stage: str, cells: Sequence[RecipeRun], slot: int) -> RunningJob:
        """Start the job's process; its messages go to its log only."""
        write_job(path, stage, list(cells))
        own = self.devices[slot * self.gpus : (slot + 1) * self.gpus]
        with open(output_file(path), "wb", opener=own_file) as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "scaseg_cli", COMMAND, str(path)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **({"CUDA_VISIBLE_DEVICES": ",".join(own)} if own else {})},
                start_new_session=True,  # Ctrl-C reaches only this process, which then ends the others
                preexec_fn=end_with_parent,
            )
        return _Process(path, process)


def output_file(path: Path) -> Path:
    """Return the path of a job's raw output (stdout and stderr)."""
    return path.with_suffix(".out")


def visible_devices(gpus: int) -> list[str]:
    """Return this machine's CUDA devices, as CUDA_VISIBLE_DEVICES names them; an empty list if ``gpus`` is 0."""
    if not gpus:
        return []
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named:  # avoids importing torch
        return named.split(",")
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]
