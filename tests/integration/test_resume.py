"""A run that is killed in every stage, and resumed each time, ends with the very bytes of one that was not.

The moments are random ones of the command's work with files, from a seed: between any two openings, moves and removals
of files, which the machine's speed does not change.
"""

import json
import random
import shutil
from pathlib import Path

import pytest
from command_line import contents
from tiny_runs import STAGES, TinyRun, hashes, killed_at, scaseg, scaseg_json, write_recipe

# Each stage's first and last moment to draw from. In a training, both are between its checkpoints.
MOMENTS = {
    "data": (1, 300),
    "split": (1, 15),
    "embeddings": (1, 11),
    "base": (31, 57),
    "queries": (13, 52),
    "cat": (27, 107),
    "union": (27, 107),
    "evaluation": (1, 47),
}
RUN = ("run", "-r", "tiny.yaml")
SEED = 20261128


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that SIGKILL ended once in every stage."""
    folder, draw = tmp_path_factory.mktemp("killed"), random.Random(SEED)
    write_recipe(folder)
    run = folder / "runs" / "tiny"
    for stage, (first, last) in MOMENTS.items():
        killed_at(run / stage, draw.randint(first, last), folder, *RUN)
        assert not (run / stage / "record.json").exists(), f"{stage} had ended when it was killed"
    return folder


@pytest.fixture(scope="module")
def resumed(killed: Path) -> Path:
    """The run folder of ``killed`` after a last run that was left alone."""
    ran = {stage["stage"]: stage["ran"] for stage in scaseg_json(killed, *RUN)["stages"]}
    assert ran == {stage: stage == "evaluation" for stage in STAGES}
    return killed / "runs" / "tiny"


def test_every_file_is_the_same_to_the_byte(resumed: Path, tiny_run: TinyRun) -> None:
    assert hashes(resumed) == hashes(tiny_run.run)
    left, wanted = ({name for name in contents(run) if "events" not in name} for run in (resumed, tiny_run.run))
    assert left == wanted  # no temporary file, no progress


def test_the_results_are_the_same_and_not_zero(resumed: Path, tiny_run: TinyRun) -> None:
    rows = json.loads((resumed / "evaluation" / "results.json").read_text())["rows"]
    assert rows == tiny_run.report["tables"][0]["rows"]
    assert all(row["spq"] > 0 for row in rows if row["setting"] == "inductive")


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


# The command, what it writes, how many moments it has there at least, and how often it is killed.
AFTER = {
    "predict": (("runs/tiny/data/validation", "-r", "tiny.yaml", "-o", "found"), "found", 60, 2),
    "ablate": (("increment", "-r", "tiny.yaml", "--values", "0.0,2.0"), "runs/tiny/ablations", 40, 1),
    "report": (("-r", "tiny.yaml", "--images", "0"), "runs/tiny", 25, 2),
}


@pytest.mark.parametrize("command", AFTER)
def test_what_follows_a_run_ends_the_same_after_kills(tiny_run: TinyRun, tmp_path: Path, command: str) -> None:
    arguments, written, moments, kills = AFTER[command]
    killed, alone = tmp_path / "killed", tmp_path / "alone"
    for folder in (killed, alone):
        shutil.copytree(tiny_run.folder, folder)
    for number in random.Random(f"{SEED} {command}").sample(range(1, moments + 1), kills):
        killed_at(killed / written, number, killed, command, *arguments)
        assert contents(killed / "runs").items() >= contents(tiny_run.folder / "runs").items()
    for folder in (killed, alone):
        scaseg(folder, command, *arguments)
    assert _results(killed / written) == _results(alone / written)


def _results(folder: Path) -> dict[str, str]:
    """Hashes of the files in a folder, without those that hold times."""
    passing = ("record.json", "/logs/", "events")
    return {name: sha for name, sha in contents(folder).items() if not any(word in name for word in passing)}
