"""The resources requested from a cluster, and the command on each node; `sbatch` is a script that keeps its input."""

from __future__ import annotations

import pickle
import re
import sys
from pathlib import Path

import pytest

from scaseg_cli.cli.options import without_launcher
from scaseg_cli.errors import ScasegError
from scaseg_cli.launch.jobs import Command, minutes, submit
from scaseg_cli.recipe import load_recipe
from scaseg_cli.recipe.schema import Slurm
from scaseg_cli.run_dir import RunDir

ASKED = (
    "gpus=8", "slurm.partition=long", "slurm.account=lab", "slurm.time=1-02:30:01", "slurm.cpus_per_task=64",
    "slurm.memory=200", 'slurm.setup=["module load cuda", "ulimit -n 4096"]',
)  # fmt: skip


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to which `sbatch` copies each submitted script."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("srun", ""), ("sbatch", f'cp "$1" {folder}/script; echo "Submitted batch job 77"')):
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder


def test_the_cluster_is_asked_for_what_the_recipe_says(slurm: Path, tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    job = submit(load_recipe("shapes-zps", ASKED), run, ["run", "--nodes", "2"], "slurm", 2)
    assert (job.name, job.log) == ("77", run.path / "jobs" / "77_0_log.out")
    script = (slurm / "script").read_text()
    asked = dict(re.findall(r"^#SBATCH --([\w-]+)=(.+)$", script, flags=re.MULTILINE))
    wanted = {
        "job-name": "shapes-zps", "nodes": "2", "ntasks-per-node": "1", "gpus-per-node": "8", "partition": "long",
        "account": "lab", "cpus-per-task": "64", "mem": "200GB", "time": str(26 * 60 + 31),
    }  # fmt: skip
    assert wanted.items() <= asked.items()
    assert not {"qos", "constraint"} & set(asked)
    lines = script.splitlines()
    assert lines.index("module load cuda") < lines.index("ulimit -n 4096")
    assert "--wait=0 --kill-on-bad-exit=1" in lines[-1]
    assert f"{sys.executable} -u -m submitit.core._submit {run.path / 'jobs'}" in lines[-1]
    assert (run.path / "jobs" / "77_submitted.pkl").is_file()


@pytest.mark.parametrize(
    ("time", "expected"), [(90, 90), ("01:30:00", 90), ("2-00:00:01", 2 * 24 * 60 + 1), ("10-10:10:10", 15011)]
)
def test_times(time: int | str, expected: int) -> None:
    assert minutes(Slurm(time=time)) == expected


@pytest.mark.parametrize("node", [0, 1])
def test_each_node_of_a_job_knows_which_it_is(monkeypatch: pytest.MonkeyPatch, node: int) -> None:
    of_slurm = {"JOB_ID": "123456", "JOB_NUM_NODES": "2", "JOB_NODELIST": "gpu[07-08]", "NODEID": str(node)}
    for name, value in of_slurm.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    command = pickle.loads(pickle.dumps(Command(["train-base", "--nodes", "2"], Path("/data"))))
    assert command.here() == [
        "train-base", "--nodes", "2", "--node-rank", str(node), "--rendezvous", "gpu07:23456",
    ]  # fmt: skip
    monkeypatch.setenv("SLURM_JOB_NUM_NODES", "1")
    assert command.here() == ["train-base", "--nodes", "2"]


def test_a_cluster_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ScasegError, match="slurm does not take the job: Could not detect"):
        submit(load_recipe("shapes-zps"), RunDir(tmp_path), ["run"], "slurm", 1)


def test_a_cluster_that_refuses(slurm: Path, tmp_path: Path) -> None:
    (slurm / "sbatch").write_text("#!/bin/sh\necho 'invalid partition specified: long' >&2; exit 1\n")
    with pytest.raises(ScasegError, match="invalid partition specified: long"):
        submit(load_recipe("shapes-zps"), RunDir(tmp_path), ["run"], "slurm", 1)


def test_this_machine_is_no_cluster(tmp_path: Path) -> None:
    with pytest.raises(ScasegError, match="this machine alone, and nodes is 2"):
        submit(load_recipe("shapes-zps"), RunDir(tmp_path), ["run"], "local", 2)


@pytest.mark.parametrize("words", [["--launcher", "slurm"], ["--launcher=slurm"], []])
def test_a_job_does_not_become_a_job_again(words: list[str]) -> None:
    assert without_launcher(("run", *words, "--set", "a=b")) == ["run", "--set", "a=b"]
