"""A command as a job on this machine: it is carried out later, and goes on when the cluster takes it off and back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tiny_runs import scaseg, start

if TYPE_CHECKING:
    from damaged_world import World

TRAIN = (
    "train-base", "-r", "tiny.yaml", "-w", "run", "--set", "base.iterations=30", "--set", "base.checkpoint_every=1",
)  # fmt: skip


def _wait_for(path: Path, log: Path) -> None:
    latest = time.monotonic() + 150
    while not path.exists():
        assert time.monotonic() < latest, log.read_text()
        time.sleep(0.02)


def _worker_of(controller: int) -> int:
    """The process that carries out submitit's job: the controller's one child."""
    return int(Path(f"/proc/{controller}/task/{controller}/children").read_text().split()[0])


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
def test_a_job_that_is_cut_short_is_queued_again_and_ends_as_the_command_would(world: World) -> None:
    base = world.folder / "run" / "base"
    shutil.rmtree(base)
    job = json.loads(scaseg(world.folder, *TRAIN, "--launcher", "local", "--json"))["summary"]
    log = Path(job["log"])
    assert log.parent == world.folder / "run" / "jobs"
    _wait_for(base / "progress.pt", log)
    os.kill(_worker_of(int(job["job"])), signal.SIGUSR2)  # as a cluster says that the time is up
    _wait_for(base / "record.json", log)
    said = log.read_text()
    assert "base: resuming from iteration " in said
    assert f"Requeued job {job['job']}" in said
    weights = (base / "base.safetensors").read_bytes()
    base.joinpath("record.json").unlink()
    scaseg(world.folder, *TRAIN)
    assert (base / "base.safetensors").read_bytes() == weights


def test_what_cannot_be_a_job_is_told_at_once(world: World) -> None:
    node = ("--node-rank", "0", "--rendezvous", "here:1")
    world.refuses("train-base", "--launcher", "local", *node, saying=("a job knows its nodes",))
    world.refuses("train-base", "--launcher", "slurm", saying=('Could not detect "srun"', "sbatch"))
    world.refuses("train-cat", "--launcher", "local", "--set", "base.tau=0.1", saying=("made by another recipe",))


def test_a_job_that_fails_says_why_in_its_log_and_ends_with_the_commands_code(world: World) -> None:
    process = start(world.folder, *TRAIN, "--launcher", "local", "--json", "--set", "base.amp=fp16")
    out, _ = process.communicate(timeout=120)
    log = Path(json.loads(out)["summary"]["log"])
    latest = time.monotonic() + 60
    while "error: " not in (log.read_text() if log.exists() else "") and time.monotonic() < latest:
        time.sleep(0.1)
    assert "error: base.amp fp16 needs a GPU" in log.read_text()
