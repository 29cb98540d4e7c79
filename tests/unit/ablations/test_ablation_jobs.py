"""A job: its cells fail one by one, its log has the reason, and another process can run it."""

import sys

import pytest

from scaseg_cli.ablations.jobs import stage_job
from scaseg_cli.ablations.jobs.choose_launcher import Here, choose_launcher
from scaseg_cli.ablations.jobs.cluster import Cluster
from scaseg_cli.ablations.jobs.job_files import outcome_file, read_outcome, run_job, write_job
from scaseg_cli.ablations.jobs.processes import Processes
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import load_recipe
from scaseg_cli.results.stage_report import StageReport
from scaseg_cli.run_dir import RunDir


@pytest.fixture
def cells(recipe, tmp_path):
    return [(recipe, RunDir(tmp_path / name)) for name in ("a", "b", "c")]


@pytest.fixture
def step(monkeypatch):
    """Replace the step of the union stage by a function."""

    def put(function):
        monkeypatch.setitem(stage_job._STEPS, "union", function)

    return put


def outcomes(cells):
    return [StageReport("union"), ScasegError("the loss is nan", "Lower it."), ValueError("a bug\nof two lines")][
        : len(cells)
    ]


def test_each_cell_fails_by_itself(cells, step, tmp_path):
    step(outcomes)
    failures = stage_job.run_stage_job("union", cells, tmp_path / "log.txt")
    assert {path.name: failure.reason for path, failure in failures.items()} == {
        "b": "the loss is nan",
        "c": "ValueError: a bug",
    }
    log = (tmp_path / "log.txt").read_text()
    assert "Lower it." in log
    assert "ValueError: a bug\nof two lines" in log


def test_an_error_in_the_shared_pass_fails_all_cells(cells, step, tmp_path):
    def broken(_):
        raise ScasegError("an image cannot be read")

    step(broken)
    failures = stage_job.run_stage_job("union", cells, tmp_path / "log.txt")
    assert [failure.reason for failure in failures.values()] == ["an image cannot be read"] * 3


def test_an_interrupt_is_not_recorded_as_a_failure(cells, step, tmp_path):
    def stopped(_):
        raise KeyboardInterrupt

    step(stopped)
    with pytest.raises(KeyboardInterrupt):
        stage_job.run_stage_job("union", cells, tmp_path / "log.txt")


def test_a_job_goes_to_another_process_by_a_file(cells, step, tmp_path):
    path = tmp_path / "job.json"
    write_job(path, "union", cells)
    assert read_outcome(path, "killed")[cells[0][1].path].reason == "killed"
    seen = []
    step(lambda found: seen.extend(found) or outcomes(found))
    run_job(path)
    assert seen == cells
    failed = read_outcome(path, "killed")
    assert {folder.name: failure.reason for folder, failure in failed.items()} == {
        "b": "the loss is nan",
        "c": "ValueError: a bug",
    }
    write_job(path, "union", cells)
    assert not outcome_file(path).exists()  # the outcome of an earlier attempt is not mistaken for this one's


def test_a_process_that_ends_without_an_outcome_fails_all_cells(cells, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    running = Processes(1, 0, []).start(tmp_path / "job.json", "union", cells, 0)
    while (failures := running.poll()) is None:
        pass
    reason = f"its process failed: exit code 1, see {tmp_path / 'job.out'}"
    assert {failure.reason for failure in failures.values()} == {reason}
    assert len(failures) == 3


def test_each_process_sees_its_own_gpus(cells, tmp_path, monkeypatch):
    script = tmp_path / "python"
    script.write_text('#!/bin/sh\necho "devices $CUDA_VISIBLE_DEVICES"\n')
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    running = Processes(2, 2, ["0", "3", "4", "7"]).start(tmp_path / "job.json", "union", cells, 1)
    while running.poll() is None:
        pass
    assert (tmp_path / "job.out").read_text() == "devices 4,7\n"


def test_too_few_gpus_are_reported_before_anything_runs(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    recipe = load_recipe("shapes-zps", ("gpus=1",))
    assert choose_launcher(recipe, RunDir(tmp_path), None, 2).num_slots == 2
    with pytest.raises(ScasegError, match="3 jobs with 1 CUDA device each need 3, this machine has 2") as caught:
        choose_launcher(recipe, RunDir(tmp_path), None, 3)
    assert "Use --jobs 2" in (caught.value.hint or "")


def test_the_options_choose_the_launcher(recipe, tmp_path):
    run = RunDir(tmp_path)
    assert isinstance(choose_launcher(recipe, run, None, None), Here)
    assert isinstance(choose_launcher(recipe, run, None, 1), Here)
    assert isinstance(choose_launcher(recipe, run, None, 2), Processes)
    cluster = choose_launcher(recipe, run, "slurm", 5)
    assert isinstance(cluster, Cluster)
    assert (cluster.cluster, cluster.num_slots) == ("slurm", 5)
    with pytest.raises(ScasegError, match="one machine"):
        choose_launcher(load_recipe("shapes-zps", ("nodes=2",)), run, "slurm", None)


def test_a_machine_without_slurm_is_reported(recipe, cells, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ScasegError, match="slurm does not take the job"):
        choose_launcher(recipe, RunDir(tmp_path), "slurm", None).start(tmp_path / "job.json", "union", cells, 0)
