"""A run that is killed in every stage, and gone on with each time, ends with the very bytes of one that was not."""

import json
import signal
from pathlib import Path

import pytest
from tiny_runs import STAGES, TinyRun, hashes, scaseg_json, signal_when, write_recipe

# What lies in the run folder while a stage is in its midst.
MIDST = {
    "split": "data/.unfinished",
    "base": "base/progress.pt",
    "queries": "queries/shard-00001.pt",
    "cat": "cat/progress.pt",
    "union": "union/progress-method.pt",
}
RUN = ("run", "-r", "tiny.yaml")


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that SIGKILL ended in the midst of every stage that takes time."""
    folder = tmp_path_factory.mktemp("killed")
    write_recipe(folder)
    run = folder / "runs" / "tiny"
    for stage, midst in MIDST.items():
        assert signal_when(run / midst, signal.SIGKILL, folder, *RUN) == -signal.SIGKILL
        assert not (run / stage / "record.json").exists(), f"{stage} had ended when it was killed"
    return folder


@pytest.fixture(scope="module")
def resumed(killed: Path) -> Path:
    """The run folder of ``killed`` after a last run that was left alone."""
    ran = {stage["stage"]: stage["ran"] for stage in scaseg_json(killed, *RUN)["stages"]}
    assert ran == {stage: stage in ("union", "evaluation") for stage in STAGES}
    return killed / "runs" / "tiny"


def test_every_file_is_the_same_to_the_byte(resumed: Path, tiny_run: TinyRun) -> None:
    assert hashes(resumed) == hashes(tiny_run.run)


def test_the_results_are_the_same(resumed: Path, tiny_run: TinyRun) -> None:
    rows = json.loads((resumed / "evaluation" / "results.json").read_text())["rows"]
    assert rows == tiny_run.report["tables"][0]["rows"]


def test_interrupted_trainings_resume(resumed: Path, killed: Path) -> None:
    said = (killed / "stderr.txt").read_text()
    for line in (
        "base: resuming from iteration ",
        "generator: resuming from iteration ",
        "fine-tuning, method: resuming",
    ):
        assert line in said
    assert "resuming from" in (resumed / "log.txt").read_text()


def test_the_loss_curve_has_every_iteration_once(resumed: Path, tiny_run: TinyRun) -> None:
    curve = (resumed / "base" / "losses.csv").read_text()
    assert [line.split(",")[0] for line in curve.splitlines()[1:]] == [str(i) for i in range(16)]
    assert curve == (tiny_run.run / "base" / "losses.csv").read_text()
